package process_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/plugins/sdk"
	"github.com/bbmd-dev/bbmd/registry"
)

// beChild is a plugin's program, in this process. It returns the exit code.
func beChild(mode string, args []string) int {
	switch mode {
	case "good":
		return served(sdk.Serve(bump, bumpSQL))
	case "suicidal":
		return served(sdk.Serve(suicidal(args[0])))
	case "ahead":
		return ahead(args[0], args[1])
	case "undumpable":
		return undumpable()
	case "parent": // starts a plugin and hangs, for the test of orphans
		return parent(args[0])
	default:
		return misbehave(mode, args)
	}
}

func served(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// bump adds one, and so tells how often a row was processed.
var bump = registry.Work{
	Name:  "bump",
	Check: func(context.Context, registry.Querier, registry.Migration) error { return nil },
	Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		tag, err := tx.Exec(ctx, "UPDATE "+b.Table+" SET n = n + 1 WHERE "+b.Where(), b.Args()...)
		return registry.Affected(tag), err
	},
	Verify: func(ctx context.Context, db registry.Querier, b registry.Batch) (wrong int64, err error) {
		err = db.QueryRow(ctx, "SELECT count(*) FROM "+b.Table+" WHERE "+b.Where()+" AND n <> 1", b.Args()...).Scan(&wrong)
		return wrong, err
	},
}

// bumpSQL is bump as a statement that travels with the answer.
var bumpSQL = registry.Work{
	Name: "bump_sql",
	SQL: func(m registry.Migration) (registry.Statement, error) {
		return registry.ParseStatement("UPDATE " + m.Table + " SET n = n + 1 WHERE :range")
	},
}

const (
	suicidalSize = 10 // keys of a batch
	suicidalOne  = 4  // of so many batches, one kills the program
)

// suicidal returns a bump that kills its program in the first attempt at one of
// four batches, at one of three points.
func suicidal(seed string) registry.Work {
	w := registry.Work{Name: "bump"}
	w.Run = func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		start, err := strconv.ParseUint(b.Start, 10, 64)
		if err != nil {
			return registry.Result{}, err
		}
		number, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			return registry.Result{}, err
		}
		batch := (start - 1) / suicidalSize
		random := rand.New(rand.NewPCG(number, batch/suicidalOne))
		dies := b.Attempt == 1 && random.Uint64N(suicidalOne) == batch%suicidalOne
		point := random.IntN(3)
		if dies && point == 0 {
			die()
		}
		result, err := bump.Run(ctx, tx, b)
		if dies && point == 1 {
			die()
		}
		if dies {
			_, _ = syscall.Write(1, []byte(`{"type":"done","id":`)) // as if it were in the middle of it
			die()
		}
		return result, err
	}
	return w
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// misbehave says hello as it should, mostly, and then does what mode says.
func misbehave(mode string, args []string) int {
	if mode == "ignores" {
		signal.Ignore(syscall.SIGTERM)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var m struct {
			Type string `json:"type"`
			ID   int64  `json:"id"`
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			return 4
		}
		switch m.Type {
		case "init":
			greeting(mode)
		case "batch":
			if act := acts[mode]; act != nil {
				act(m.ID, args)
			} else {
				speak(`{"type":"done","id":%d,"affected":0,"statements":[]}`, m.ID)
			}
		}
	}
	if mode == "ignores" {
		select {}
	}
	return 0
}

func quit(code int) { os.Exit(code) } //nolint:forbidigo // it stands for main

func speak(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) }

func greeting(mode string) {
	switch mode {
	case "silent":
		select {}
	case "liar":
		speak(`{"type":"hello","protocol":1,"name":"somebody","version":"1","works":["bump"]}`)
	case "stale":
		speak(`{"type":"hello","protocol":2,"name":"child","version":"1","works":["bump"]}`)
	case "quits":
		quit(3)
	default:
		hello()
	}
	if mode == "deaf" {
		select {}
	}
}

// hello says what the manifest says.
func hello() {
	raw, err := os.ReadFile(process.ManifestName)
	if err != nil {
		quit(6)
	}
	m, err := process.ParseManifest(process.ManifestName, raw)
	if err != nil {
		quit(7)
	}
	speak(`{"type":"hello","protocol":1,"name":%q,"version":%q,"works":[%q]}`, m.Name, m.Version, m.Works[0].Name)
}

// parent opens the plugins of a directory and runs a batch of the first.
func parent(dir string) int {
	opened, err := plugins.OpenDir(dir)
	if err != nil {
		return served(err)
	}
	source := process.NewSource(process.Options{})
	found, err := source.Scan(context.Background(), opened)
	if err != nil {
		return served(err)
	}
	p, err := source.Open(context.Background(), found[0])
	if err != nil {
		return served(err)
	}
	_, err = p.Works()[0].Run(context.Background(), nil, whole())
	return served(err)
}

// acts are what misbehaving programs do when they get a batch.
var acts = map[string]func(id int64, args []string){
	"garbage":    func(int64, []string) { speak("Traceback (most recent call last):") },
	"unknown":    func(id int64, _ []string) { speak(`{"type":"finish","id":%d}`, id) },
	"numbers":    func(id int64, _ []string) { speak(`{"type":"exec","id":%d,"seq":1,"sql":"SELECT $1","args":[1]}`, id) },
	"wrong":      func(id int64, _ []string) { speak(`{"type":"done","id":%d}`, id+1) },
	"misplaced":  func(id int64, _ []string) { speak(`{"type":"unverifiable","id":%d}`, id) },
	"exits":      func(int64, []string) { quit(3) },
	"closes":     func(int64, []string) { _ = os.Stdout.Close(); select {} },
	"hangs":      func(int64, []string) { select {} },
	"commits":    func(id int64, _ []string) { ask(id, "COMMIT") },
	"several":    func(id int64, _ []string) { ask(id, "UPDATE t SET n = n + 1; COMMIT") },
	"denies":     func(id int64, _ []string) { ask(id, "UPDATE t SET n = 1 / 0") },
	"gives up":   func(id int64, _ []string) { speak(`{"type":"fail","id":%d,"message":"no such country"}`, id) },
	"tries":      func(id int64, _ []string) { speak(`{"type":"fail","id":%d,"retryable":true,"message":"busy"}`, id) },
	"writes":     func(id int64, _ []string) { writeThen(id, "nonsense") },
	"flood line": func(int64, []string) { flood(os.Stdout, strings.Repeat("x", 1<<16)) },
	"flood logs": func(int64, []string) { flood(os.Stdout, `{"type":"log","level":"info","message":"again"}`+"\n") },
	"flood both": func(int64, []string) { go flood(os.Stderr, "again\n"); flood(os.Stdout, "[") },
	"notes": func(_ int64, args []string) {
		_ = os.WriteFile(args[0], []byte(strconv.Itoa(os.Getpid())), 0o600)
		select {}
	},
	"forks": func(_ int64, args []string) { forks(args[0]) },
	"leaks": func(id int64, args []string) {
		_ = os.WriteFile(args[0], []byte(strings.Join(os.Environ(), "\n")), 0o600)
		speak(`{"type":"done","id":%d,"affected":0,"statements":[]}`, id)
	},
}

// ask sends a statement and claims to be done whatever comes of it.
func ask(id int64, sql string) {
	speak(`{"type":"exec","id":%d,"seq":1,"sql":%q,"args":[]}`, id, sql)
	speak(`{"type":"done","id":%d,"affected":1,"statements":[]}`, id)
}

func writeThen(id int64, last string) {
	speak(`{"type":"exec","id":%d,"seq":1,"sql":"UPDATE t SET n = n + 1","args":[]}`, id)
	speak("%s", last)
}

func flood(to *os.File, what string) {
	for {
		if _, err := to.WriteString(what); err != nil {
			select {}
		}
	}
}

// forks starts a program that would live on, notes its id, and hangs.
func forks(note string) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		quit(5)
	}
	_ = os.WriteFile(note, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
	select {}
}
