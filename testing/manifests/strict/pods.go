package main

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// checkPods returns what is wrong with the pods that an object makes.
func checkPods(object any) []string {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return checkTemplate(o.Spec.Template, o.Spec.Selector)
	case *appsv1.StatefulSet:
		return checkTemplate(o.Spec.Template, o.Spec.Selector)
	case *batchv1.Job:
		return checkTemplate(o.Spec.Template, nil)
	case *corev1.Pod:
		return checkTemplate(corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}, nil)
	}
	return nil
}

// checkTemplate judges pods; a nil selector is one that Kubernetes makes itself.
func checkTemplate(template corev1.PodTemplateSpec, selector *metav1.LabelSelector) (problems []string) {
	problems = checkLabels(template.ObjectMeta)
	if selector != nil {
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || parsed.Empty() || !parsed.Matches(labels.Set(template.Labels)) {
			problems = append(problems, "its selector does not select its own pods")
		}
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return append(problems, err.Error())
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec))
	if !verdict.Allowed {
		problems = append(problems, fmt.Sprintf("not restricted: %s: %s", verdict.ForbiddenReason(), verdict.ForbiddenDetail()))
	}
	return problems
}
