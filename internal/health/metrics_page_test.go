package health_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/bbmd-dev/bbmd/internal/health"
)

// shape is a metric as programs know it: its type, and the labels that vary.
type shape struct {
	Type   string
	Labels string
}

// exported returns the metrics that exist.
func exported(t *testing.T) map[string]shape {
	t.Helper()
	found := map[string]shape{}
	for _, gatherer := range []prometheus.Gatherer{everything(), health.NewRegistry("v1")} {
		families, err := gatherer.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if strings.HasPrefix(family.GetName(), "bbmd_") {
				found[family.GetName()] = shape{strings.ToLower(family.GetType().String()), labels(family.GetMetric()[0])}
			}
		}
	}
	return found
}

func labels(m *dto.Metric) string {
	var names []string
	for _, pair := range m.GetLabel() {
		names = append(names, pair.GetName())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// documented returns the metrics of docs/metrics.md, and the labels that it explains.
func documented(t *testing.T) (found map[string]shape, explained []string) {
	t.Helper()
	page := read(t, "docs/metrics.md")
	found = map[string]shape{}
	word := regexp.MustCompile("`(\\w+)`")
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		names := word.FindAllStringSubmatch(cells[0], -1)
		switch {
		case !strings.HasPrefix(line, "| `"):
		case strings.HasPrefix(line, "| `bbmd_"):
			require.Len(t, cells, 5, "a row has a name, a type, labels, a unit and a meaning: %s", line)
			var given []string
			for _, label := range word.FindAllStringSubmatch(cells[2], -1) {
				given = append(given, label[1])
			}
			slices.Sort(given)
			found[names[0][1]] = shape{strings.TrimSpace(cells[1]), strings.Join(given, " ")}
		default:
			for _, name := range names {
				explained = append(explained, name[1])
			}
		}
	}
	return found, explained
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
	require.NoError(t, err)
	return string(text)
}

// TestMetricsAreDocumented holds docs/metrics.md against what exists: names, types and labels.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	page, explained := documented(t)
	exist := exported(t)
	require.Empty(t, cmp.Diff(page, exist))
	for name, metric := range exist {
		for label := range strings.FieldsSeq(metric.Labels) {
			require.Contains(t, explained, label, name)
		}
	}
}

// Everything that is registered has a value in the test's registry, so that none is forgotten.
func TestEveryMetricIsSeen(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	health.NewMetrics(registry)
	described := make(chan *prometheus.Desc, 1000)
	registry.Describe(described)
	close(described)
	exist := exported(t)
	name := regexp.MustCompile(`fqName: "(\w+)"`)
	for desc := range described {
		require.Contains(t, exist, name.FindStringSubmatch(desc.String())[1])
	}
}

const monitoring = "deploy/kubernetes/components/monitoring/"

// dashboard is what is read of a dashboard of Grafana.
type dashboard struct {
	Panels []struct {
		ID      int
		Type    string
		Title   string
		Targets []struct{ Expr, LegendFormat string }
	}
}

// rules are what is read of a file of rules.
type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert       string
			Expr        string
			For         string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

// The dashboard shows every metric, and the alert rules and it use no other: neither
// a name nor a label that does not exist.
func TestDashboardAndRulesUseTheMetrics(t *testing.T) {
	t.Parallel()
	var board dashboard
	require.NoError(t, json.Unmarshal([]byte(read(t, monitoring+"dashboard.json")), &board))
	exist := exported(t)
	shown := map[string]bool{}
	ids := map[int]bool{}
	for _, panel := range board.Panels {
		require.False(t, ids[panel.ID], "two panels %d", panel.ID)
		ids[panel.ID] = true
		if panel.Type == "row" {
			continue
		}
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			used := check(t, exist, panel.Title, target.Expr, target.LegendFormat)
			maps.Copy(shown, used)
		}
	}
	for name := range exist {
		require.True(t, shown[name], "the dashboard does not show %s", name)
	}

	var alerts rules
	require.NoError(t, yaml.Unmarshal([]byte(read(t, monitoring+"rules.yaml")), &alerts))
	seen := map[string]bool{}
	for _, group := range alerts.Groups {
		for _, rule := range group.Rules {
			require.False(t, seen[rule.Alert], "two alerts %s", rule.Alert)
			seen[rule.Alert] = true
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["description"], rule.Alert)
			require.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], rule.Alert)
			check(t, exist, rule.Alert, rule.Expr, rule.Annotations["summary"]+rule.Annotations["description"])
		}
	}
	require.NotEmpty(t, seen)
}

var (
	metricName  = regexp.MustCompile(`bbmd_\w+`)
	selector    = regexp.MustCompile(`(bbmd_\w+)\{([^}]*)\}`)
	matcherName = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouping    = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	quoted      = regexp.MustCompile(`"[^"]*"`)
	templated   = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)
)

// check holds an expression, and the text that shows its result, against the metrics
// that exist, and returns those that it uses.
func check(t *testing.T, exist map[string]shape, where, expr, text string) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	known := map[string]bool{"le": true}
	for _, name := range metricName.FindAllString(expr, -1) {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if trimmed := strings.TrimSuffix(name, suffix); exist[trimmed].Type == "histogram" {
				base = trimmed
			}
		}
		require.Contains(t, exist, base, "%s: %s", where, expr)
		require.Equal(t, exist[base].Type == "histogram", base != name, "%s: a histogram is used by its parts: %s", where, expr)
		used[base] = true
		for label := range strings.FieldsSeq(exist[base].Labels) {
			known[label] = true
		}
	}
	require.NotEmpty(t, used, where)
	for _, match := range selector.FindAllStringSubmatch(expr, -1) {
		has := strings.Fields(exist[match[1]].Labels)
		if len(has) == 0 { // one of a histogram's parts
			has = slices.Collect(maps.Keys(known))
		}
		for _, label := range matcherName.FindAllStringSubmatch(quoted.ReplaceAllString(match[2], ""), -1) {
			require.Contains(t, has, label[1], "%s: %s", where, expr)
		}
	}
	for _, match := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(match[1], ",") {
			require.True(t, known[strings.TrimSpace(label)], "%s: label %s: %s", where, label, expr)
		}
	}
	for _, match := range templated.FindAllStringSubmatch(text, -1) {
		require.True(t, known[match[1]], "%s: label %s in the text", where, match[1])
	}
	require.Equal(t, strings.Count(expr, "("), strings.Count(expr, ")"), "%s: %s", where, expr)
	require.Equal(t, strings.Count(expr, "{"), strings.Count(expr, "}"), "%s: %s", where, expr)
	return used
}
