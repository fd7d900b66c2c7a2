package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A sleep is skipped, and stops on its way where something is due.
func TestSkippingStopsWhereSomethingIsDue(t *testing.T) {
	t.Parallel()
	var c skipping
	began := c.now()
	var at time.Duration
	c.after(90*time.Second, func() { at = c.now().Sub(began) })
	for range 3 {
		if err := c.sleep(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	const real = 30 * time.Second // that the test may take
	if at < 90*time.Second || at > 90*time.Second+real {
		t.Errorf("it was done after %s", at)
	}
	if passed := c.now().Sub(began); passed < 3*time.Minute || passed > 3*time.Minute+real {
		t.Errorf("%s have passed", passed)
	}
}

func TestClocksEndWithTheirContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []clock{wall{}, new(skipping)} {
		if c.sleep(ctx, time.Hour) == nil || c.sleep(ctx, 0) == nil {
			t.Errorf("%T sleeps on", c)
		}
	}
}

func TestServeAnswersLineByLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	in := strings.NewReader(`{"do":"up","dir":"/nowhere","url":"postgres://127.0.0.1:1/none"}` + "\n" + `{"do":"sing"}` + "\n")
	if err := serve(t.Context(), migratePeer{}, in, json.NewEncoder(&out)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "golang-migrate") || !strings.Contains(lines[1], `"error"`) || !strings.Contains(lines[2], "cannot") {
		t.Errorf("it answered:\n%s", out.String())
	}
}

func TestUnknownPeer(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{nil, {"cron"}} {
		if run(t.Context(), arguments, strings.NewReader(""), new(bytes.Buffer)) == nil {
			t.Errorf("%v is a peer", arguments)
		}
	}
}
