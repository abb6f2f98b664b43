package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The headers of a request (Standard Webhooks, "Webhook headers").
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

const (
	secretPrefix = "whsec_"
	// A secret has 24 to 64 bytes (Standard Webhooks, "Signature scheme").
	minSecret, maxSecret = 24, 64
	// MaxSecrets is how many secrets sign at a time: the new one and the one that it replaces.
	MaxSecrets = 2
)

// CheckSecrets says what is wrong with a list of secrets, without a word of what they are.
func CheckSecrets(texts []string) error {
	_, err := parseSecrets(texts)
	return err
}

// parseSecrets returns the keys, in their order.
func parseSecrets(texts []string) (keys [][]byte, err error) {
	if len(texts) == 0 || len(texts) > MaxSecrets {
		return nil, fmt.Errorf("%d secrets: one is needed, and a second one while receivers change to it", len(texts))
	}
	for _, text := range texts {
		encoded, marked := strings.CutPrefix(text, secretPrefix)
		if !marked {
			return nil, errors.New("a secret does not begin with " + secretPrefix)
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, errors.New("a secret is no base64 behind " + secretPrefix)
		}
		if len(key) < minSecret || len(key) > maxSecret {
			return nil, fmt.Errorf("a secret has %d bytes: %d to %d are right", len(key), minSecret, maxSecret)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// sign is the value of the signature's header: one signature for each key, separated by spaces. It signs id, time and body, with
// full stops between them.
func sign(keys [][]byte, id string, at time.Time, body []byte) string {
	var all []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " ")
}

// CheckURL says what is wrong with the address of an endpoint.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return errors.New("not an URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("neither https nor http")
	case u.User != nil:
		return errors.New("a user or a password in it")
	case u.Fragment != "":
		return errors.New("a fragment in it")
	}
	return nil
}
