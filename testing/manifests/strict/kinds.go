package main

import (
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// newObject returns a zero object of a kind, or nil where it is none that
// belongs into this repository.
func newObject(kind metav1.TypeMeta) any {
	makers := map[metav1.TypeMeta]func() any{
		{APIVersion: "v1", Kind: "ConfigMap"}:                                 func() any { return &corev1.ConfigMap{} },
		{APIVersion: "v1", Kind: "Namespace"}:                                 func() any { return &corev1.Namespace{} },
		{APIVersion: "v1", Kind: "Pod"}:                                       func() any { return &corev1.Pod{} },
		{APIVersion: "v1", Kind: "Secret"}:                                    func() any { return &corev1.Secret{} },
		{APIVersion: "v1", Kind: "Service"}:                                   func() any { return &corev1.Service{} },
		{APIVersion: "v1", Kind: "ServiceAccount"}:                            func() any { return &corev1.ServiceAccount{} },
		{APIVersion: "apps/v1", Kind: "Deployment"}:                           func() any { return &appsv1.Deployment{} },
		{APIVersion: "apps/v1", Kind: "StatefulSet"}:                          func() any { return &appsv1.StatefulSet{} },
		{APIVersion: "batch/v1", Kind: "Job"}:                                 func() any { return &batchv1.Job{} },
		{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}:           func() any { return &networkingv1.NetworkPolicy{} },
		{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}:                func() any { return &policyv1.PodDisruptionBudget{} },
		{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"}:            func() any { return &rbacv1.Role{} },
		{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"}:     func() any { return &rbacv1.RoleBinding{} },
		{APIVersion: "monitoring.coreos.com/v1", Kind: "PrometheusRule"}:      func() any { return &monitoringv1.PrometheusRule{} },
		{APIVersion: "monitoring.coreos.com/v1", Kind: "ServiceMonitor"}:      func() any { return &monitoringv1.ServiceMonitor{} },
		{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization"}: func() any { return &fluxKustomization{} },
		{APIVersion: "argoproj.io/v1alpha1", Kind: "Application"}:             func() any { return &argoApplication{} },
	}
	if make, ok := makers[kind]; ok {
		return make()
	}
	return nil
}

// fluxKustomization is as much of Flux's kind as is used here; its own package
// would bring half a controller with it.
type fluxKustomization struct {
	named `json:",inline"`

	Spec struct {
		Interval        metav1.Duration `json:"interval"`
		RetryInterval   metav1.Duration `json:"retryInterval"`
		Timeout         metav1.Duration `json:"timeout"`
		Path            string          `json:"path"`
		Prune           bool            `json:"prune"`
		Wait            bool            `json:"wait"`
		TargetNamespace string          `json:"targetNamespace"`
		SourceRef       struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"sourceRef"`
		DependsOn []struct {
			Name string `json:"name"`
		} `json:"dependsOn"`
		HealthChecks []struct {
			metav1.TypeMeta `json:",inline"`

			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"healthChecks"`
	} `json:"spec"`
}

// argoApplication is as much of Argo CD's kind as is used here.
type argoApplication struct {
	named `json:",inline"`

	Spec struct {
		Project string `json:"project"`
		Source  struct {
			RepoURL        string `json:"repoURL"`
			TargetRevision string `json:"targetRevision"`
			Path           string `json:"path"`
		} `json:"source"`
		Destination struct {
			Server    string `json:"server"`
			Namespace string `json:"namespace"`
		} `json:"destination"`
		SyncPolicy struct {
			Automated struct {
				Prune    bool `json:"prune"`
				SelfHeal bool `json:"selfHeal"`
			} `json:"automated"`
			SyncOptions []string `json:"syncOptions"`
			Retry       struct {
				Limit   int64 `json:"limit"`
				Backoff struct {
					Duration    string `json:"duration"`
					Factor      int64  `json:"factor"`
					MaxDuration string `json:"maxDuration"`
				} `json:"backoff"`
			} `json:"retry"`
		} `json:"syncPolicy"`
	} `json:"spec"`
}
