package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/cmd/roost/internal/sizing"
	"roost/netpoll"
)

// The pages for operators.
const (
	operationsFile = "docs/operations.md"
	deployFile     = "docs/deploy.md"
	metricsFile    = "docs/metrics.md"
)

// TestOperationsMetrics wants the table of metrics to be what a server exports, with the alerts that use each.
// `make docs` has it write the table.
func TestOperationsMetrics(t *testing.T) {
	t.Parallel()
	if !seesTCPMem() {
		t.Skip("one metric is missing: there is no /proc/sys/net/ipv4/tcp_mem, as in a container with a network of its own")
	}
	env, client := everyMetric(t)
	server := roosttest.Launch(t, e2e.NoRedis{}, env).Through(client, "https")
	_, text := server.Get("/metrics?format=prometheus")
	want := metricsTable(t, string(text))

	const begin, end = "<!-- begin metrics: make docs writes it -->\n", "<!-- end -->\n"
	page := e2e.ReadDoc(t, metricsFile)
	before, rest, is := strings.Cut(page, begin)
	got, after, closed := strings.Cut(rest, end)
	if !is || !closed {
		t.Fatalf("%s has no table of metrics", metricsFile)
	}
	for _, file := range []string{metricsFile, operationsFile, deployFile, "docs/redis.md", "docs/security.md", "docs/publishing.md", "docs/configuration.md"} {
		for _, name := range regexp.MustCompile(`\broost_[a-z_]*[a-z]`).FindAllString(e2e.ReadDoc(t, file), -1) {
			if !strings.Contains(want, "| `"+strings.TrimSuffix(name, "_bucket")) && name != "roost_token" { // or the beginning of one, as commands have it
				t.Errorf("%s has %s, which no server exports", file, name)
			}
		}
	}
	switch {
	case got == want:
	case os.Getenv("WRITE_DOCS") != "":
		if err := os.WriteFile(filepath.Join(e2e.Root, metricsFile), []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s has not the metrics that a server exports: run make docs, and commit it. It has\n%s\nand a server\n%s", metricsFile, got, want)
	}
}

var (
	metricHelp = regexp.MustCompile(`(?m)^# HELP (roost_\w+) (.*)\n# TYPE \w+ (\w+)$`)
	markdown   = strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`)
)

// metricsTable makes the table of Prometheus's text.
func metricsTable(t *testing.T, text string) string {
	t.Helper()
	alerts := readAlerts(t)
	labels := readExposition(t, text)
	var table strings.Builder
	table.WriteString("| Metric | Labels | Kind | Meaning | Alerts |\n|---|---|---|---|---|\n")
	found := metricHelp.FindAllStringSubmatch(text, -1)
	if len(found) < 40 {
		t.Fatalf("only %d metrics have a help", len(found))
	}
	for _, m := range found {
		name, help, kind := m[1], strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(m[2]), m[3]
		var by []string
		for label := range labels[name] {
			by = append(by, "`"+label+"`")
		}
		slices.Sort(by)
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", name, strings.Join(by, ", "), kind, markdown.Replace(help), usedBy(alerts, name))
	}
	return strings.ReplaceAll(table.String(), "|  |", "| |")
}

// usedBy links to the alerts whose expression has a metric.
func usedBy(alerts []alertRule, metric string) string {
	name := regexp.MustCompile(`\b` + metric + `(_bucket|_sum|_count)?\b`)
	var links []string
	for _, a := range alerts {
		if name.MatchString(a.expr) {
			links = append(links, fmt.Sprintf("[%s](operations.md#%s)", a.name, strings.ToLower(a.name)))
		}
	}
	return strings.Join(links, ", ")
}

// TestOperationsLimits wants each variable that bounds something in the table of limits, with its default.
func TestOperationsLimits(t *testing.T) {
	t.Parallel()
	limits := e2e.Section(t, e2e.ReadDoc(t, operationsFile), "## Limits")
	bounds := regexp.MustCompile(`^(0|[1-9]\d*)(ms|s|m|h)?$`)
	for _, row := range (config.Config{}).Describe() {
		if !bounds.MatchString(row.Default) || noLimits()[row.Name] != "" {
			continue
		}
		if want := fmt.Sprintf("`%s` (%s)", row.Name, row.Default); !strings.Contains(limits, "\n| "+want+" | ") {
			t.Errorf("the limits of %s have no row of %s", operationsFile, want)
		}
	}
	for _, m := range regexp.MustCompile("\n\\| `(\\w+)` \\(").FindAllStringSubmatch(limits, -1) {
		if noLimits()[m[1]] != "" {
			t.Errorf("%s is a limit and is not: %s", m[1], noLimits()[m[1]])
		}
	}
}

// noLimits are the variables with a number or a time that bound nothing an operator meets, and why.
func noLimits() map[string]string {
	return map[string]string{
		"WS_PORT": "a port", "WS_TLS_PORT": "a port", "HTTP_PORT": "a port", "REDIS_PORT": "a port", "REDIS_DB": "a name",
		"REDIS_MAX_RETRIES": "of commands, which publish and ask for health", "REDIS_MIN_IDLE_CONNS": "of the pool",
		"REDIS_POOL_TIMEOUT":       "of the pool: in the row of REDIS_POOL_SIZE",
		"REDIS_CONN_MAX_IDLE_TIME": "of the pool", "REDIS_CONN_MAX_LIFETIME": "of the pool",
	}
}

// TestOperationsReasons wants each label of reasons that a server exports on the page, and no other: those of connections
// that ended as rows of a table, those of refusals in the text.
func TestOperationsReasons(t *testing.T) {
	t.Parallel()
	server := roosttest.Launch(t, e2e.NoRedis{}, nil)
	_, text := server.Get("/metrics?format=prometheus")
	all := readExposition(t, string(text))
	page := e2e.ReadDoc(t, operationsFile)
	ends := e2e.Section(t, page, "## How connections end")

	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]*\\d{4}").FindAllStringSubmatch(ends, -1) {
		rows = append(rows, m[1])
	}
	slices.Sort(rows)
	if want := slices.Sorted(slices.Values(all["roost_connections_closed_total"]["reason"])); !slices.Equal(rows, want) {
		t.Errorf("the reasons on the page are\n%q, a server has\n%q", rows, want)
	}
	for _, code := range all["roost_connections_closed_by_code_total"]["code"] {
		if !strings.Contains(ends, code) {
			t.Errorf("the page doesn't say what code %s is", code)
		}
	}
	for _, metric := range []string{"roost_deliveries_failed_total", "roost_notifications_invalid_total"} {
		for _, reason := range all[metric]["reason"] {
			known := []string{"connection_closed", "invalid_json", "invalid_utf8", "type_not_a_string"} // which need no advice
			if !strings.Contains(page, reason) && !slices.Contains(known, reason) {
				t.Errorf("the page doesn't say what to do about %s of %s", reason, metric)
			}
		}
	}
	for _, reason := range all["roost_connections_refused_total"]["reason"] {
		plain := []string{"bad_request", "http_version", "method", "not_found", "ticket", "upgrade_required", "websocket_key", "websocket_version", "origin"}
		if !strings.Contains(page, "`"+reason+"`") && !slices.Contains(plain, reason) && !strings.HasPrefix(reason, "proxy_header_") {
			t.Errorf("the page doesn't say what to do about clients refused for %s", reason)
		}
	}
}

// TestOperationsSizes wants the table of sizes to have what the doctor reckons.
func TestOperationsSizes(t *testing.T) {
	t.Parallel()
	sizes := e2e.Section(t, e2e.ReadDoc(t, deployFile), "## How large a machine")
	row := func(name string) []string {
		m := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(name) + ` \| (.*) \|$`).FindStringSubmatch(sizes)
		if m == nil {
			t.Fatalf("no row %q", name)
		}
		return strings.Split(m[1], " | ")
	}
	memory, files := row("Memory to have free"), row("`LimitNOFILE`")
	for i, n := range row("Connections") {
		connections, err := strconv.Atoi(strings.ReplaceAll(n, ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%d MiB", sizing.Memory(connections)>>20); memory[i] != want {
			t.Errorf("%d connections want %s, the page has %s", connections, want, memory[i])
		}
		limit, err := strconv.Atoi(files[i])
		if holds := netpoll.NewBudget(limit, 300, 0).Connections; err != nil || holds < connections {
			t.Errorf("%s descriptors hold %d connections, want %d", files[i], holds, connections)
		}
	}
	measured := e2e.ReadDoc(t, "docs/benchmarks.md")
	commands := regexp.MustCompile("`(roostbench [^`]+)`").FindAllStringSubmatch(sizes, -1)
	if len(commands) < 5 {
		t.Errorf("only %d commands are said to have measured", len(commands))
	}
	for _, m := range commands {
		if !strings.Contains(measured, m[0]) {
			t.Errorf("docs/benchmarks.md was not measured by %s", m[1])
		}
	}
}

// TestOperationsRunbook wants a heading for each alert, in the order of the alerts, with what it means, commands, and what
// to do; and each link on the page, and to it, to lead somewhere.
func TestOperationsRunbook(t *testing.T) {
	t.Parallel()
	page := e2e.ReadDoc(t, operationsFile)
	runbook := e2e.Section(t, page, "## Runbook: alerts")
	var headings, names []string
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(runbook, -1) {
		headings = append(headings, m[1])
		means, rest, has := strings.Cut(e2e.Section(t, page, "### "+m[1]), "```sh\n")
		_, do, _ := strings.Cut(rest, "\n```\n")
		if !has || len(strings.TrimSpace(means)) < 40 || len(strings.TrimSpace(do)) < 40 {
			t.Errorf("%s wants what it means, commands, and what to do", m[1])
		}
	}
	for _, a := range readAlerts(t) {
		names = append(names, a.name)
	}
	if !slices.Equal(headings, names) {
		t.Errorf("the runbook has\n%q, the alerts are\n%q", headings, names)
	}
}

// The words that the page has people look for in a verdict are in one.
func TestOperationsVerdicts(t *testing.T) {
	t.Parallel()
	table := e2e.Section(t, e2e.ReadDoc(t, operationsFile), "### A user gets nothing")
	source := e2e.ReadDoc(t, "httpapi/why.go")
	verdicts := 0
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(table, -1) {
		for verdict := range strings.SplitSeq(row[1], ", ") {
			verdicts++
			if !strings.Contains(source, strings.Trim(verdict, "`")) {
				t.Errorf("no verdict says %s", verdict)
			}
		}
	}
	if want := strings.Count(source, "return fmt.Sprintf(\"T") + strings.Count(source, "return fmt.Sprintf(\"Connected"); verdicts != want {
		t.Errorf("the page has %d verdicts, there are %d", verdicts, want)
	}
}
