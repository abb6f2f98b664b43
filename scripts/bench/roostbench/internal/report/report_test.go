package report

import (
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func single(step, server, figure string, value float64) Report {
	return Report{Step: step, Server: server, Figures: []Figure{{Name: figure, Value: value, Unit: "B"}}}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	got := Compare([]Report{
		single("idle", "a", "x", 30), single("idle", "b", "x", 100), single("idle", "b", "x", 300),
		single("idle", "a", "x", 10), single("idle", "a", "x", 20), single("idle", "b", "y", 7),
		single("connect", "b", "z", 1),
	})
	if len(got) != 2 || got[0].Step != "idle" || got[1].Step != "connect" {
		t.Fatalf("steps of %+v", got)
	}
	idle := got[0]
	if !reflect.DeepEqual(idle.Servers, []string{"a", "b"}) || len(idle.Rows) != 2 {
		t.Fatalf("%+v", idle)
	}
	x, y := idle.Rows[0], idle.Rows[1]
	if !reflect.DeepEqual(x.Medians, []float64{20, 200}) || !reflect.DeepEqual(x.Ratios, []float64{1, 0.1}) {
		t.Errorf("x: %+v", x)
	}
	if !reflect.DeepEqual(y.Medians, []float64{0, 7}) || !reflect.DeepEqual(y.Ratios, []float64{0, 0}) {
		t.Errorf("y: %+v", y)
	}
	var table strings.Builder
	if err := idle.Table(&table); err != nil || !strings.Contains(table.String(), "0.10") {
		t.Errorf("%v, %s", err, &table)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 5: "5", 1234.5: "1234", 12.34: "12.3", 1.234: "1.23", 0.0123: "0.012", -12.34: "-12.3"} {
		if got := Number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "r.json")
	want := Report{Step: "idle", Server: "a", Time: time.Unix(1_700_000_000, 0).UTC(), Problems: map[string]int{"p": 2}}
	want.Add("x", 1.5, "B")
	want.Add("nothing of nothing", math.NaN(), "")
	if err := WriteFile(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if v, ok := got.Value("x"); v != 1.5 || !ok {
		t.Errorf("x: %v, %t", v, ok)
	}
}
