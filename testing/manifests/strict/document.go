package main

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// named is what all kinds have.
type named struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
}

// checkDocument returns what is wrong with one object, each problem with its
// kind and name.
func checkDocument(document []byte) (problems []string) {
	var head *named
	if err := yaml.Unmarshal(document, &head); err != nil {
		return []string{"it is no object: " + err.Error()}
	}
	if head == nil { // comments alone
		return nil
	}
	id := head.Kind + " " + head.Name + ": "
	typed := newObject(head.TypeMeta)
	if typed == nil {
		return []string{id + "nobody here knows " + head.APIVersion + " " + head.Kind}
	}
	if err := yaml.UnmarshalStrict(document, typed); err != nil {
		return []string{id + err.Error()}
	}
	for _, problem := range append(checkMetadata(head.ObjectMeta), checkPods(typed)...) {
		problems = append(problems, id+problem)
	}
	return problems
}

func checkMetadata(meta metav1.ObjectMeta) (problems []string) {
	if meta.Name == "" {
		problems = append(problems, "it has no name")
	}
	for _, reason := range validation.IsDNS1123Subdomain(meta.Name) {
		problems = append(problems, "its name: "+reason)
	}
	return append(problems, checkLabels(meta)...)
}

func checkLabels(meta metav1.ObjectMeta) (problems []string) {
	for key, value := range meta.Labels {
		for _, reason := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			problems = append(problems, fmt.Sprintf("label %s=%s: %s", key, value, reason))
		}
	}
	for key := range meta.Annotations {
		for _, reason := range validation.IsQualifiedName(key) {
			problems = append(problems, "annotation "+key+": "+reason)
		}
	}
	return problems
}
