package config

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
)

// maxSecretFile bounds a file with a secret, in bytes.
const maxSecretFile = 64 << 10

// maxPreviousSecrets bounds JWT_SECRET_KEY_PREVIOUS.
const maxPreviousSecrets = 8

// fileName is the variable that names a file with a secret in it, in place of the secret's own: what orchestrators mount
// (/run/secrets/…, LoadCredential=).
func (v variable) fileName() string { return v.name + "_FILE" }

// text is what the environment or the file says of a variable, "" for nothing.
func (s Source) text(name string) string {
	if value, set := os.LookupEnv(name); set {
		return value
	}
	return s.file[name].value
}

// secretFile is the path of the file that holds a secret, "" where none is named.
func (s Source) secretFile(v variable) string {
	if !v.secret {
		return ""
	}
	return s.text(v.fileName())
}

// fromFile reads a secret from its file into a struct of its field alone.
func (s Source) fromFile(v variable, path string) (reflect.Value, *Problem) {
	one := reflect.New(reflect.StructOf([]reflect.StructField{v.field}))
	problem := func(want string) (reflect.Value, *Problem) {
		return one, &Problem{Name: v.fileName(), Value: path, Want: want}
	}
	if s.text(v.name) != "" {
		return problem(fmt.Sprintf("it left out, since %s is set and says the same; or %[1]s left out", v.name))
	}
	text, err := readSecret(path)
	if err != nil {
		return problem("the path of a file with " + v.want + ": " + err.Error())
	}
	if field := one.Elem().Field(0); field.Kind() == reflect.Slice {
		field.Set(reflect.ValueOf(lines(text)))
	} else {
		field.SetString(text)
	}
	return one, nil
}

// readSecret reads a file without the line feed that ends it: editors and shells put one there, and nobody counts it as
// part of a secret. One alone: what is left counts, and is warned of.
func readSecret(path string) (string, error) {
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxSecretFile:
		return "", fmt.Errorf("%s has more than %d bytes", path, maxSecretFile)
	}
	secret := withoutLineEnd(string(text))
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

func withoutLineEnd(text string) string {
	text, fed := strings.CutSuffix(text, "\n")
	if fed {
		text = strings.TrimSuffix(text, "\r")
	}
	return text
}

// lines are the secrets of a file that has several, one on each line. They are taken letter by letter: a comma or a
// space is part of one.
func lines(text string) (all []string) {
	for line := range strings.Lines(text) {
		if line = withoutLineEnd(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// listedSecrets are those of JWT_SECRET_KEY_PREVIOUS, which may be what JWT_SECRET_KEY was until now: one that is alone is
// taken letter by letter, as it was there. With commas it is a list, in which white space may be the list's or a secret's:
// each is taken with and without. Or it is one secret with commas in it, so the whole is taken too. It is wrong where a piece
// could be guessed: a short piece of such a secret would let anybody in.
func listedSecrets(pieces []string) (all []string, wrong bool) {
	if len(pieces) <= 1 {
		return pieces, false
	}
	all, secrets := []string{strings.Join(pieces, ",")}, 0
	for _, piece := range pieces {
		bare := strings.TrimSpace(piece)
		if bare == "" {
			continue
		}
		secrets++
		wrong = wrong || len(bare) < minSecret
		all = append(all, bare)
		if bare != piece {
			all = append(all, piece)
		}
	}
	return all, wrong || secrets > maxPreviousSecrets
}
