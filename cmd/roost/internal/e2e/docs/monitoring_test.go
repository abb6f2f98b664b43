package docs

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// Dashboards and alerts in scripts have to go with the metrics that a server exports.
const (
	alertsFile    = e2e.Root + "/scripts/alerts.yml"
	casesFile     = e2e.Root + "/scripts/alerts_test.yml"
	dashboardFile = e2e.Root + "/scripts/grafana-dashboard.json"
)

// seesTCPMem is false where the kernel does not show net.ipv4.tcp_mem, as in a container with a network of its own.
func seesTCPMem() bool {
	_, err := os.Stat("/proc/sys/net/ipv4/tcp_mem")
	return err == nil
}

func TestMonitoring(t *testing.T) {
	t.Parallel()
	env, client := everyMetric(t)
	_, server := e2e.Start(t, env)
	server = server.Through(client, "https")
	_, text := server.Get("/metrics?format=prometheus")
	all := readExposition(t, string(text))
	if !seesTCPMem() {
		all["roost_kernel_tcp_memory_threshold_bytes"] = map[string][]string{"level": {"low", "pressure", "max"}}
	}

	t.Run("alerts", func(t *testing.T) {
		for _, a := range readAlerts(t) {
			for _, fault := range all.faults(a.expr, a.texts) {
				t.Errorf("%s: %s", a.name, fault)
			}
		}
	})
	t.Run("dashboard", func(t *testing.T) {
		shown := ""
		for _, p := range readDashboard(t).Panels {
			for _, target := range p.Targets {
				shown += target.Expr + "\n"
				for _, fault := range all.faults(target.Expr, target.Legend) {
					t.Errorf("%s: %s", p.Title, fault)
				}
			}
		}
		for name := range all {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, part)
			}
			if strings.HasPrefix(name, "roost_") && !regexp.MustCompile(`\b`+name).MatchString(shown) {
				t.Errorf("nothing shows %s", name)
			}
		}
	})
}

// everyMetric is what a server needs to have all metrics, and who asks it: some are there only with a JWKS, whether that can be fetched or not,
// with presence, with a feed that listens for each user, and with TLS.
func everyMetric(t *testing.T) (roosttest.Env, *http.Client) {
	t.Helper()
	authority := redistest.NewAuthority(t)
	shown := authority.Issue("127.0.0.1")
	client := &http.Client{Timeout: roosttest.Limit, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: authority.Roots()}}}
	return roosttest.Env{"JWT_SECRET_KEY": "", "JWT_JWKS_URL": "http://127.0.0.1:1/jwks.json", "REDIS_FEED": "user", "REDIS_PRESENCE": "true",
		"WEBHOOK_URL": "http://127.0.0.1:1/", "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"HTTP_TLS_CERT_FILE": shown.File, "HTTP_TLS_KEY_FILE": shown.Key,
		"WS_TLS_CERT_FILE": shown.File, "WS_TLS_KEY_FILE": shown.Key, "WS_TLS_PORT": "0"}, client
}

// alertRule is a rule of alerts.yml.
type alertRule struct {
	name, expr, texts string
}

var (
	alertText = regexp.MustCompile(`(?m)^      - alert: (\w+)\n        expr: ((?s:.*?))\n        (?:for|labels): `)
	yamlFold  = regexp.MustCompile(`\s+`)
)

// readAlerts reads what alerts.yml has, in the one form that it is written in: to read YAML is promtool's.
func readAlerts(t *testing.T) (alerts []alertRule) {
	t.Helper()
	file, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	rules := strings.Split(string(file), "      - alert: ")[1:]
	for _, rule := range rules {
		m := alertText.FindStringSubmatch("      - alert: " + rule)
		if m == nil {
			t.Fatalf("not in the form of the others: %.200s", rule)
		}
		expr := strings.Trim(yamlFold.ReplaceAllString(strings.TrimPrefix(m[2], ">-"), " "), " '")
		alerts = append(alerts, alertRule{name: m[1], expr: expr, texts: rule[strings.Index(rule, "annotations:"):]})
	}
	if len(alerts) < 20 {
		t.Fatalf("%d alerts", len(alerts))
	}
	return alerts
}

// Each alert says what to do, and has a case.
func TestAlertsAreComplete(t *testing.T) {
	t.Parallel()
	cases, err := os.ReadFile(casesFile)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	alerts := readAlerts(t)
	if n := bytes.Count(file, []byte("severity: critical")) + bytes.Count(file, []byte("severity: warning")); n != len(alerts) {
		t.Errorf("%d of %d alerts are critical or a warning", n, len(alerts))
	}
	for _, a := range alerts {
		for _, want := range []string{"\n          summary: ", "\n          description: ", "\n          runbook_url: docs/operations.md#" + strings.ToLower(a.name) + "\n"} {
			if !strings.Contains(a.texts+"\n", want) {
				t.Errorf("%s has no %s", a.name, strings.TrimSpace(want))
			}
		}
		if !bytes.Contains(cases, []byte("\n  - name: "+a.name+"\n")) {
			t.Errorf("%s has no case in %s", a.name, casesFile)
		}
	}
}

// dashboard is what matters of Grafana's format.
type dashboard struct {
	Panels []struct {
		ID          int
		Type        string
		Title       string
		Description string
		Datasource  struct{ UID string }
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct {
			Expr   string
			Legend string `json:"legendFormat"`
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	file, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboardIsComplete(t *testing.T) {
	t.Parallel()
	ids, places := make(map[int]bool), make(map[[2]int]string)
	for _, p := range readDashboard(t).Panels {
		if p.Title == "" || ids[p.ID] {
			t.Errorf("%q has no title, or an id that another has: %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := places[[2]int{x, y}]; other != "" {
					t.Fatalf("%q lies on %q", p.Title, other)
				}
				places[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Description) < 10 || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%q: description %q, %d targets, data source %q", p.Title, p.Description, len(p.Targets), p.Datasource.UID)
		}
	}
}

// TestRulesWithPromtool has Prometheus's own tool read the rules, run their cases, and read the dashboard's queries as
// if they were rules.
func TestRulesWithPromtool(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed (Debian's package prometheus has it)")
	}
	promtool(t, "check", "rules", alertsFile)
	promtool(t, "test", "rules", casesFile)

	var queries []string
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	slices.Sort(queries)
	rules := "groups: [{name: dashboard, rules: [\n"
	for i, query := range slices.Compact(queries) {
		quoted, err := json.Marshal(strings.ReplaceAll(query, "$__rate_interval", "5m"))
		if err != nil {
			t.Fatal(err)
		}
		rules += fmt.Sprintf("{record: query_%d, expr: %s},\n", i, quoted)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules+"]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
