package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Setting is one key of a configuration, with its value and where that came
// from. It holds no secret.
type Setting struct {
	Key    string `json:"key"`              // databases.auth.url
	Value  string `json:"value"`            // as the file would write it, secrets masked
	Source string `json:"source"`           // default, file, env or flag
	Detail string `json:"detail,omitempty"` // the file, the variable or the flag
}

// Settings returns every key of c in the order of the struct, databases by
// name. It is what `bbmd config` shows.
func (c Config) Settings() []Setting {
	var settings []Setting
	for _, f := range fields(&c) {
		origin := c.Origin(f.path)
		settings = append(settings, Setting{
			Key: f.path, Value: text(f.value), Source: string(origin.Kind), Detail: origin.Detail,
		})
	}
	return settings
}

// WriteYAML writes c to w as YAML that could be a configuration file, secrets
// masked, each value followed by a comment that says where it came from. Of the
// schemas of databases it has what differs from the default.
func (c Config) WriteYAML(w io.Writer) error {
	root := &yamlv3.Node{Kind: yamlv3.MappingNode, HeadComment: "# bbmd configuration, no file"}
	if file := c.File(); file != "" {
		root.HeadComment = "# bbmd configuration, file " + file
	}
	if len(c.Databases) == 0 {
		root.Content = append(root.Content, scalar("databases"), &yamlv3.Node{Kind: yamlv3.MappingNode, Style: yamlv3.FlowStyle})
	}
	for _, f := range fields(&c) {
		parent, name := cutLast(f.path)
		origin := c.Origin(f.path)
		if strings.HasSuffix(parent, ".schema") && origin.Kind == OriginDefault && f.isDefault() {
			continue
		}
		value := f.yaml()
		value.LineComment = "# " + origin.String()
		section := sectionNode(root, parent)
		section.Content = append(section.Content, scalar(name), value)
	}
	var out bytes.Buffer
	encoder := yamlv3.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// yaml returns the value as a scalar: text in quotes where it needs them.
func (f field) yaml() *yamlv3.Node {
	node := scalar(text(f.value))
	switch {
	case f.value.CanInt() && f.value.Type().PkgPath() == "", f.value.Kind().String() == "bool":
		node.Tag = ""
	case node.Value == "" || strings.HasPrefix(node.Value, ":"):
		node.Style = yamlv3.DoubleQuotedStyle
	}
	return node
}

func scalar(value string) *yamlv3.Node {
	return &yamlv3.Node{Kind: yamlv3.ScalarNode, Tag: "!!str", Value: value}
}

// sectionNode returns the mapping at path, and makes it if it is missing.
func sectionNode(root *yamlv3.Node, path string) *yamlv3.Node {
	if path == "" {
		return root
	}
	parent, name := cutLast(path)
	node := sectionNode(root, parent)
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	section := &yamlv3.Node{Kind: yamlv3.MappingNode}
	node.Content = append(node.Content, scalar(name), section)
	return section
}
