package throttle_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
)

// TestEveryKeyIsDocumented compares the tables of docs/throttling.md with the
// defaults.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/throttling.md")
	require.NoError(t, err)
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(string(page), -1) {
		require.NotContains(t, documented, row[1], "twice")
		documented[row[1]] = strings.Trim(row[2], "`")
	}

	written, err := json.Marshal(throttle.Default())
	require.NoError(t, err)
	var defaults map[string]any
	require.NoError(t, json.Unmarshal(written, &defaults))
	want := map[string]string{
		"custom.name": "", "custom.sql": "", "custom.limit": "0", "custom.every": "10s", "custom.timeout": "1s", "custom.duty": "0",
	}
	flatten("", defaults, want)
	require.Equal(t, want, documented)
	for _, name := range throttle.SignalNames() {
		require.Contains(t, string(page), "## `"+name+"`")
	}
}

func flatten(prefix string, from map[string]any, into map[string]string) {
	for key, value := range from {
		switch v := value.(type) {
		case map[string]any:
			flatten(prefix+key+".", v, into)
		case nil:
			into[prefix+key] = "none"
		default:
			text := fmt.Sprint(v)
			for _, zeros := range []string{"m0s", "h0m"} {
				if strings.HasSuffix(text, zeros) {
					text = text[:len(text)-2]
				}
			}
			into[prefix+key] = text
		}
	}
	delete(into, "custom")
}
