package chart

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// chartDir is the chart to test: this one, or what a release made of it.
var chartDir = flag.String("chart", "roost", "the directory of the chart")

// render makes the chart's templates with values, as helm template NAME roost does, and returns the files by name.
func render(t *testing.T, name, values string) (map[string]string, error) {
	t.Helper()
	chart, err := loader.Load(*chartDir)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	capabilities := common.DefaultCapabilities.Copy()
	all, err := util.ToRenderValues(chart, given, common.ReleaseOptions{Name: name, Namespace: "default", Revision: 1, IsInstall: true}, capabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return nil, err
	}
	short := make(map[string]string)
	for file, text := range files {
		short[path.Base(file)] = text
	}
	return short, nil
}

// objects are the rendered objects, each decoded into the type that its kind has in Kubernetes: a member that the type does not have,
// one that comes twice or one of another type is an error.
type objects struct {
	deployment *appsv1.Deployment
	services   []*corev1.Service
	budget     *policyv1.PodDisruptionBudget
	policy     *networkingv1.NetworkPolicy
	scaler     *autoscalingv2.HorizontalPodAutoscaler
	monitor    *monitoringv1.ServiceMonitor
}

func decode(t *testing.T, files map[string]string) (all objects) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) != ".yaml" {
			continue
		}
		for _, document := range strings.Split(files[name], "\n---\n") {
			if strings.TrimSpace(document) == "" {
				continue
			}
			all.add(t, name, document)
		}
	}
	return all
}

func (all *objects) add(t *testing.T, name, document string) {
	t.Helper()
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal([]byte(document), &head); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, document)
	}
	strict := func(to any) {
		t.Helper()
		if err := yaml.UnmarshalStrict([]byte(document), to); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, document)
		}
	}
	switch head.APIVersion + " " + head.Kind {
	case "apps/v1 Deployment":
		all.deployment = new(appsv1.Deployment)
		strict(all.deployment)
	case "v1 Service":
		service := new(corev1.Service)
		strict(service)
		all.services = append(all.services, service)
	case "policy/v1 PodDisruptionBudget":
		all.budget = new(policyv1.PodDisruptionBudget)
		strict(all.budget)
	case "networking.k8s.io/v1 NetworkPolicy":
		all.policy = new(networkingv1.NetworkPolicy)
		strict(all.policy)
	case "autoscaling/v2 HorizontalPodAutoscaler":
		all.scaler = new(autoscalingv2.HorizontalPodAutoscaler)
		strict(all.scaler)
	case "monitoring.coreos.com/v1 ServiceMonitor":
		all.monitor = new(monitoringv1.ServiceMonitor)
		strict(all.monitor)
	default:
		t.Fatalf("%s: an object that no test knows: %+v", name, head)
	}
}

func (all *objects) container() *corev1.Container {
	return &all.deployment.Spec.Template.Spec.Containers[0]
}

// env is the container's environment.
func (all *objects) env(t *testing.T) map[string]string {
	t.Helper()
	env := make(map[string]string)
	for _, one := range all.container().Env {
		if _, twice := env[one.Name]; twice {
			t.Errorf("%s comes twice", one.Name)
		}
		env[one.Name] = one.Value
	}
	return env
}

// valuesOf are the sets of values that each test goes through.
func valuesOf(t *testing.T) map[string]string {
	t.Helper()
	all, err := os.ReadFile("values-all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"default": "{}", "all": string(all),
		"long drain":    "drain: {delay: 30, window: 600}\npreStop: 20\n",
		"no pre-stop":   "preStop: 0\ndrain: {delay: 0, window: 0}\n",
		"everything on": "env: {WS_RESUME_WINDOW: 2m, WS_GAP_NOTICE: true, REDIS_FEED_MAX_ATTEMPTS: 5}\nallowedOrigins: [https://a.example.com, https://b.example.com]\nresources: {limits: {memory: 2Gi}}\nservice: {type: LoadBalancer, port: 443, annotations: {a: b}}\nimagePullSecrets: [one]\npodAnnotations: {c: d}\nnodeSelector: {e: f}\ntolerations: [{key: g, operator: Exists}]\nmaxConnections: 1500000\nnetworkPolicy: {adminNamespaces: []}\n",
		"little on":     "networkPolicy: {enabled: false}\nmaxConnections: 1\n",
	}
}

// A name that one object refers to exists in another.
func TestObjectsFitTogether(t *testing.T) {
	for name, values := range valuesOf(t) {
		t.Run(name, func(t *testing.T) {
			files, err := render(t, "push", values)
			if err != nil {
				t.Fatal(err)
			}
			all := decode(t, files)
			labels := all.deployment.Spec.Template.Labels
			selects := func(what string, selector map[string]string) {
				t.Helper()
				if len(selector) == 0 {
					t.Errorf("%s selects everything", what)
				}
				for key, value := range selector {
					if labels[key] != value {
						t.Errorf("%s selects %s=%s, and the pods have %q", what, key, value, labels[key])
					}
				}
			}
			selects("the deployment", all.deployment.Spec.Selector.MatchLabels)
			selects("the budget", all.budget.Spec.Selector.MatchLabels)
			ports := make(map[string]int32)
			for _, port := range all.container().Ports {
				ports[port.Name] = port.ContainerPort
			}
			if len(all.services) != 2 {
				t.Fatalf("%d services", len(all.services))
			}
			for _, service := range all.services {
				selects("service "+service.Name, service.Spec.Selector)
				if target := service.Spec.Ports[0].TargetPort.StrVal; ports[target] == 0 {
					t.Errorf("service %s leads to %q", service.Name, target)
				}
			}
			for _, probe := range []*corev1.Probe{all.container().LivenessProbe, all.container().ReadinessProbe} {
				if ports[probe.HTTPGet.Port.StrVal] != 8082 || !strings.HasPrefix(probe.HTTPGet.Path, "/health/") {
					t.Errorf("a probe asks %s at %s", probe.HTTPGet.Port.StrVal, probe.HTTPGet.Path)
				}
			}
			if all.policy != nil {
				selects("the network policy", all.policy.Spec.PodSelector.MatchLabels)
				if open := all.policy.Spec.Ingress[0]; len(open.From) != 0 || ports[open.Ports[0].Port.StrVal] != 8081 {
					t.Errorf("the WebSocket port is not open: %+v", open)
				}
				if admin := all.policy.Spec.Ingress[1]; len(admin.From) == 0 || ports[admin.Ports[0].Port.StrVal] != 8082 {
					t.Errorf("the admin port is open for everybody: %+v", admin)
				}
			}
			if all.monitor != nil {
				admin := all.services[slices.IndexFunc(all.services, func(s *corev1.Service) bool { return s.Spec.Ports[0].Name == all.monitor.Spec.Endpoints[0].Port })]
				for key, value := range all.monitor.Spec.Selector.MatchLabels {
					if admin.Labels[key] != value {
						t.Errorf("the monitor looks for %s=%s, and the service has %q", key, value, admin.Labels[key])
					}
				}
			}
			if scaler := all.scaler; scaler != nil && (scaler.Spec.ScaleTargetRef.Name != all.deployment.Name || all.deployment.Spec.Replicas != nil) {
				t.Errorf("the autoscaler and the deployment both say how many pods there are, or it scales another: %+v", scaler.Spec.ScaleTargetRef)
			}
			mounted := all.container().VolumeMounts[0]
			for _, variable := range []string{"JWT_SECRET_KEY_FILE", "HTTP_TOKEN_FILE"} {
				if value := all.env(t)[variable]; path.Dir(value) != mounted.MountPath {
					t.Errorf("%s is %s, and the secret is mounted at %s", variable, value, mounted.MountPath)
				}
			}
		})
	}
}

// Kubernetes waits for longer than the server takes, and the server for longer than its drain.
func TestTimesAgree(t *testing.T) {
	for name, values := range valuesOf(t) {
		files, err := render(t, "roost", values)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all := decode(t, files)
		env := all.env(t)
		var delay, window, shutdown, preStop int64
		for variable, to := range map[string]*int64{"WS_DRAIN_DELAY": &delay, "WS_DRAIN_WINDOW": &window, "WS_SHUTDOWN_TIMEOUT": &shutdown} {
			if _, err := fmt.Sscanf(env[variable], "%ds", to); err != nil {
				t.Errorf("%s: %s is %q", name, variable, env[variable])
			}
		}
		if hook := all.container().Lifecycle; hook != nil {
			preStop = hook.PreStop.Sleep.Seconds
		}
		grace := *all.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds
		if shutdown < delay+window+25 || grace < preStop+shutdown+5 {
			t.Errorf("%s: %d s before the signal, a drain of %d and %d, %d to stop in, %d of grace", name, preStop, delay, window, shutdown, grace)
		}
	}
}

func TestMemoryHoldsTheConnections(t *testing.T) {
	for connections, least := range map[int]int64{1: 512 << 20, 50000: 50000*6656 + 512<<20, 1500000: 1500000*6656 + 512<<20} {
		files, err := render(t, "roost", fmt.Sprintf("maxConnections: %d", connections))
		if err != nil {
			t.Fatal(err)
		}
		all := decode(t, files)
		limit := all.container().Resources.Limits.Memory().Value()
		if limit < least || limit > least+2<<20 || all.env(t)["WS_MAX_CONNECTIONS"] != fmt.Sprint(connections) {
			t.Errorf("%d connections: %d bytes, want %d; WS_MAX_CONNECTIONS is %q", connections, limit, least, all.env(t)["WS_MAX_CONNECTIONS"])
		}
	}
}

func TestScalesOnConnectionsAndLoops(t *testing.T) {
	files, err := render(t, "roost", "autoscaling: {enabled: true, connections: 0.8, loopBusy: 0.5}\nmaxConnections: 100000")
	if err != nil {
		t.Fatal(err)
	}
	all := decode(t, files)
	targets := make(map[string]float64)
	for _, metric := range all.scaler.Spec.Metrics {
		targets[metric.Pods.Metric.Name] = metric.Pods.Target.AverageValue.AsApproximateFloat64()
	}
	if want := map[string]float64{"roost_connections": 80000, "roost_loop_busy": 0.5}; !maps.Equal(targets, want) {
		t.Errorf("it scales on %v, want %v", targets, want)
	}
	adapter, err := os.ReadFile("adapter.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for metric := range targets {
		if !bytes.Contains(adapter, []byte(metric)) {
			t.Errorf("adapter.yaml has no rule for %s", metric)
		}
	}
}

// Values that can't work are refused, by their names.
func TestSchemaRefuses(t *testing.T) {
	for values, names := range map[string]string{
		"replica: 3":                               "replica",
		"replicas: 0":                              "/replicas",
		"replicas: two":                            "/replicas",
		"drain: {delay: 10s, window: 60}":          "/drain/delay",
		"drain: {windows: 60}":                     "windows",
		"redis: {host: '', port: 6379}":            "/redis/host",
		"redis: {host: redis, port: 70000}":        "/redis/port",
		"secret: ''":                               "/secret",
		"env: {WS_SHUTDOWN_TIMEOUT: 10s}":          "WS_SHUTDOWN_TIMEOUT",
		"env: {ws_port: 1}":                        "ws_port",
		"env: {WS_GAP_NOTICE: [true]}":             "/env/WS_GAP_NOTICE",
		"allowedOrigins: ['a,b']":                  "/allowedOrigins/0",
		"podDisruptionBudget: {maxUnavailable: 0}": "/podDisruptionBudget/maxUnavailable",
		"autoscaling: {connections: 1.5}":          "/autoscaling/connections",
		"image: {repository: a, pullPolicy: x}":    "/image/pullPolicy",
		"serviceMonitor: {interval: fast}":         "/serviceMonitor/interval",
	} {
		if _, err := render(t, "roost", values); err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: %v, want a word about %s", values, err, names)
		}
	}
}

// kubernetes.yaml is what the chart makes.
func TestManifests(t *testing.T) {
	const file = "kubernetes.yaml"
	values, err := os.ReadFile("values-all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := render(t, "roost", string(values))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.WriteString(manifestHead)
	for _, name := range []string{"deployment.yaml", "services.yaml", "poddisruptionbudget.yaml", "networkpolicy.yaml", "horizontalpodautoscaler.yaml", "servicemonitor.yaml"} {
		text.WriteString("---\n")
		for line := range strings.Lines(strings.TrimSpace(files[name]) + "\n") {
			if strings.Contains(line, "helm.sh/chart:") || strings.Contains(line, "managed-by:") {
				continue
			}
			text.WriteString(line)
		}
	}
	if os.Getenv("WRITE_MANIFESTS") == "true" {
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there, err := os.ReadFile(file)
	if err != nil || string(there) != text.String() {
		t.Errorf("%s is not what the chart makes (%v): WRITE_MANIFESTS=true go test writes it", file, err)
	}
	if notes := files["NOTES.txt"]; !strings.Contains(notes, "kubectl -n default exec deploy/roost -- /roost listen alice") {
		t.Errorf("the notes say %s", notes)
	}
}

const manifestHead = `# Roost on Kubernetes 1.30 or newer, without helm. Written from the chart in roost by its test: change that.
#
#   kubectl create secret generic roost --from-literal=jwt=$(openssl rand -hex 32) --from-literal=http=$(openssl rand -hex 16)
#   kubectl apply -f kubernetes.yaml
#
# Put in your image, the address of your Redis, and WS_ALLOWED_ORIGINS. The last two objects need custom metrics (adapter.yaml) and
# the Prometheus operator: leave them out where there are none, and set replicas.
`
