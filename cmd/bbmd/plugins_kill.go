package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/registry"
)

// killer kills programs of a plugin at chosen messages. Each run has programs of its
// own, so that the messages are the same ones.
type killer struct {
	at   string                         // what to choose: each, a message's type, or its number
	open func() (plugins.Opened, error) // the plugin anew

	mu      sync.Mutex
	plugin  plugins.Opened // in use
	told    []string       // the messages of this run, by type
	target  int            // the message at which to kill, from 0; -1: none
	met     bool
	chosen  []int // messages, of all that a run has
	problem error
}

// trace is told of every message.
func (k *killer) trace(message string, kill func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.told) == k.target {
		k.met = true
		kill()
	}
	k.told = append(k.told, message)
}

// Record runs, and chooses among the messages: of those that come again and again,
// the first two rounds.
func (k *killer) Record(run func()) (points []string) {
	k.with(-1, run)
	rounds := map[string]int{} // of batch, verify and check
	task := ""
	for i, message := range k.told {
		switch message {
		case "batch", "verify", "check":
			task = message
			rounds[task]++
		case "shutdown":
			continue
		}
		if rounds[task] <= 2 && k.wants(i, message) {
			k.chosen, points = append(k.chosen, i), append(points, message)
		}
	}
	return points
}

func (k *killer) wants(i int, message string) bool {
	return k.at == killEach || k.at == message || k.at == strconv.Itoa(i+1)
}

const killEach = "each"

// checkKillAt refuses what is no place in a conversation.
func checkKillAt(at string) error {
	known := []string{"", killEach, "init", "hello", "batch", "verify", "check", "query", "rows", "exec", "ok", "error", "done", "fail", "unverifiable"}
	if n, err := strconv.Atoi(at); slices.Contains(known, at) || err == nil && n > 0 {
		return nil
	}
	return fmt.Errorf("--kill-at %s: say each, the number of a message from 1 on, or one of %v", at, known[2:])
}

// At runs, and kills at the n-th of the chosen messages.
func (k *killer) At(n int, run func()) (met bool) {
	k.with(k.chosen[n], run)
	return k.met
}

// with runs with programs of its own.
func (k *killer) with(target int, run func()) {
	before := k.plugin
	fresh, err := k.open()
	k.mu.Lock()
	k.told, k.target, k.met = nil, target, false
	if k.problem = err; err == nil {
		k.plugin = fresh
	}
	k.mu.Unlock()
	if err == nil {
		_ = before.Close() // it has no error
	}
	run()
}

// current returns the Work of that name, of the plugin in use.
func (k *killer) current(name string) (registry.Work, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.plugin.Works() {
		if w.Name == name {
			return w, k.problem
		}
	}
	return registry.Work{}, fmt.Errorf("the plugin has no Work %s", name)
}

// work returns a Work that goes on being that of the plugin in use.
func (k *killer) work(w registry.Work) registry.Work {
	proxy := w
	proxy.Run = func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		now, err := k.current(w.Name)
		if err != nil {
			return registry.Result{}, err
		}
		return now.Run(ctx, tx, b)
	}
	if w.Check != nil {
		proxy.Check = func(ctx context.Context, db registry.Querier, m registry.Migration) error {
			now, err := k.current(w.Name)
			if err != nil {
				return err
			}
			return now.Check(ctx, db, m)
		}
	}
	if w.Verify != nil {
		proxy.Verify = func(ctx context.Context, db registry.Querier, b registry.Batch) (int64, error) {
			now, err := k.current(w.Name)
			if err != nil {
				return 0, err
			}
			return now.Verify(ctx, db, b)
		}
	}
	return proxy
}
