package chart

import (
	"cmp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/apps"
	appsv1 "k8s.io/kubernetes/pkg/apis/apps/v1"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	autoscalingv2 "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	autoscalingvalidation "k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	networkingv1 "k8s.io/kubernetes/pkg/apis/networking/v1"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	policyv1 "k8s.io/kubernetes/pkg/apis/policy/v1"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
)

// apiServer is what the API server does with an object before it stores it, as far as it needs no cluster: it fills in what is left
// out, and checks names, choices, ranges, and what has to agree. The types alone, and the published schemas, check none of that.
type apiServer struct{ scheme *runtime.Scheme }

func newAPIServer(t *testing.T) apiServer {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		core.AddToScheme, corev1.AddToScheme, apps.AddToScheme, appsv1.AddToScheme, policy.AddToScheme, policyv1.AddToScheme,
		networking.AddToScheme, networkingv1.AddToScheme, autoscaling.AddToScheme, autoscalingv2.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return apiServer{scheme}
}

// refusals are the API server's, by the paths of the fields. The ServiceMonitor is not its own: nobody is asked about that.
func (s apiServer) refusals(t *testing.T, all objects) field.ErrorList {
	t.Helper()
	// internal makes of an object what the checks take.
	internal := func(object interface {
		runtime.Object
		metav1.Object
	}, to runtime.Object) {
		t.Helper()
		object.SetNamespace("default")
		s.scheme.Default(object)
		if err := s.scheme.Convert(object, to, nil); err != nil {
			t.Fatal(err)
		}
	}
	var errs field.ErrorList
	var deployment apps.Deployment
	internal(all.deployment, &deployment)
	errs = append(errs, appsvalidation.ValidateDeployment(&deployment, corevalidation.PodValidationOptions{})...)
	for _, one := range all.services {
		one.Spec.ClusterIP = cmp.Or(one.Spec.ClusterIP, "10.0.0.1") // which the server picks
		one.Spec.ClusterIPs = []string{one.Spec.ClusterIP}
		var service core.Service
		internal(one, &service)
		errs = append(errs, corevalidation.ValidateServiceCreate(&service)...)
	}
	var budget policy.PodDisruptionBudget
	internal(all.budget, &budget)
	errs = append(errs, policyvalidation.ValidatePodDisruptionBudget(&budget, policyvalidation.PodDisruptionBudgetValidationOptions{})...)
	if all.policy != nil {
		var allowed networking.NetworkPolicy
		internal(all.policy, &allowed)
		errs = append(errs, networkingvalidation.ValidateNetworkPolicy(&allowed, networkingvalidation.NetworkPolicyValidationOptions{})...)
	}
	if all.scaler != nil {
		var scaler autoscaling.HorizontalPodAutoscaler
		internal(all.scaler, &scaler)
		errs = append(errs, autoscalingvalidation.ValidateHorizontalPodAutoscaler(&scaler, autoscalingvalidation.HorizontalPodAutoscalerSpecValidationOptions{MinReplicasLowerBound: 1})...)
	}
	return errs
}

func TestAPIServerTakesTheObjects(t *testing.T) {
	server := newAPIServer(t)
	for name, values := range valuesOf(t) {
		files, err := render(t, "roost", values)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if errs := server.refusals(t, decode(t, files)); len(errs) != 0 {
			t.Errorf("%s: %v", name, errs.ToAggregate())
		}
	}
}

// Each of these has the right type, and no API server takes it.
func TestAPIServerRefuses(t *testing.T) {
	server := newAPIServer(t)
	for _, test := range []struct{ file, from, to, field string }{
		{"deployment.yaml", "name: roost", "name: Roost_", "metadata.name"},
		{"deployment.yaml", "containerPort: 8081", "containerPort: 80810", "containers[0].ports[0].containerPort"},
		{"deployment.yaml", "imagePullPolicy: IfNotPresent", "imagePullPolicy: ifNotPresent", "imagePullPolicy"},
		{"deployment.yaml", "path: /health/live, port: admin", "path: /health/live, port: ADMIN_", "livenessProbe.httpGet.port"},
		{"services.yaml", "targetPort: websocket", "targetPort: WebSocket!", "targetPort"},
		{"poddisruptionbudget.yaml", "maxUnavailable: 1", "maxUnavailable: 1\n  minAvailable: 1", "spec"},
		{"networkpolicy.yaml", "policyTypes: [Ingress]", "policyTypes: [Inbound]", "policyTypes"},
		{"horizontalpodautoscaler.yaml", "maxReplicas: 10", "maxReplicas: 1", "maxReplicas"},
		{"horizontalpodautoscaler.yaml", "type: AverageValue", "type: Average", "target.type"},
		{"horizontalpodautoscaler.yaml", "periodSeconds: 600", "periodSeconds: 6000", "periodSeconds"},
	} {
		files, err := render(t, "roost", valuesOf(t)["all"])
		if err != nil {
			t.Fatal(err)
		}
		broken := strings.Replace(files[test.file], test.from, test.to, 1)
		if broken == files[test.file] {
			t.Errorf("%s has no %q:\n%s", test.file, test.from, broken)
			continue
		}
		files[test.file] = broken
		if errs := server.refusals(t, decode(t, files)); len(errs) == 0 || !strings.Contains(errs.ToAggregate().Error(), test.field) {
			t.Errorf("%s with %q: %v, want a word about %s", test.file, test.to, errs.ToAggregate(), test.field)
		}
	}
}
