package main

import (
	"errors"
	"fmt"
	"io"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// kustomization renders as `kustomize build` and `kubectl apply -k` do: the
// files may come from below the kustomization's directory alone.
func kustomization(arguments []string, out io.Writer) error {
	if len(arguments) != 1 {
		return errors.New("usage: render kustomization DIRECTORY")
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), arguments[0])
	if err != nil {
		return fmt.Errorf("build kustomization: %w", err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		return fmt.Errorf("print resources: %w", err)
	}
	_, err = out.Write(text)
	return err
}
