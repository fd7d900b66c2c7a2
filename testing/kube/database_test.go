package kube_test

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/url"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// database is a test's own, which belongs to a role that is no superuser.
type database struct {
	*pgtest.Database
	owner, waiter string // connection strings as the node sees them
	migrates      *gate  // how pods that migrate reach it
	waits         *gate  // how pods that wait do
}

// newDatabase makes a database, its owner, and a role that has what wait-role.sql grants and no more. Pods
// reach it through gates.
func newDatabase(t *testing.T, r *rig) *database {
	t.Helper()
	db := &database{Database: pgtest.NewEmpty(t).Superuser(t), migrates: newGate(t, r), waits: newGate(t, r)}
	password := rand.Text()
	owner, waiter := db.Name+"_owner", db.Name+"_wait"
	for _, role := range []string{owner, waiter} {
		db.Exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD '"+password+"'")
	}
	db.Exec(t, "ALTER DATABASE "+db.Name+" OWNER TO "+owner+"; ALTER SCHEMA public OWNER TO "+owner)
	out, err := exec.CommandContext(t.Context(), need.Program(t, "psql"), "-X", "-q", "-v", "role="+waiter, "-v", "migrator="+owner, "-v", "future=on",
		"-f", "../../deploy/sql/wait-role.sql", db.URL).CombinedOutput()
	require.NoError(t, err, "%s", out)

	address, err := url.Parse(db.URL)
	require.NoError(t, err)
	db.migrates.to, db.waits.to = address.Host, address.Host
	of := func(role string, g *gate) string {
		u := *address
		u.User, u.Host = url.UserPassword(role, password), g.address()
		return u.String()
	}
	db.owner, db.waiter = of(owner, db.migrates), of(waiter, db.waits)
	db.migrates.open(t)
	db.waits.open(t)
	return db
}

// gate forwards connections from the address at which pods see the host, while it is open.
type gate struct {
	at, to string

	mu       sync.Mutex
	listener net.Listener
	lines    map[net.Conn]net.Conn
	ends     []time.Time // when connections ended by their clients
	group    sync.WaitGroup
}

func newGate(t *testing.T, r *rig) *gate {
	t.Helper()
	g := &gate{lines: map[net.Conn]net.Conn{}}
	var config net.ListenConfig
	free, err := config.Listen(t.Context(), "tcp4", net.JoinHostPort(r.env["NODE_IP"], "0"))
	require.NoError(t, err)
	g.listener, g.at = free, free.Addr().String()
	t.Cleanup(g.shut)
	return g
}

func (g *gate) address() string { return g.at }

// open lets connections in.
func (g *gate) open(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener == nil {
		var config net.ListenConfig
		listener, err := config.Listen(t.Context(), "tcp4", g.at)
		require.NoError(t, err)
		g.listener = listener
	}
	listener, ctx := g.listener, context.WithoutCancel(t.Context())
	g.group.Go(func() { g.accept(ctx, listener) })
}

// shut ends all connections, and refuses new ones.
func (g *gate) shut() {
	g.mu.Lock()
	if g.listener != nil {
		_ = g.listener.Close()
		g.listener = nil
	}
	for client, server := range g.lines {
		_, _ = client.Close(), server.Close()
	}
	g.mu.Unlock()
	g.group.Wait()
}

func (g *gate) accept(ctx context.Context, listener net.Listener) {
	var dialer net.Dialer
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := dialer.DialContext(ctx, "tcp4", g.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		g.mu.Lock()
		if g.listener != listener {
			_, _ = client.Close(), server.Close()
		}
		g.lines[client] = server
		g.mu.Unlock()
		g.group.Go(func() {
			_, _ = io.Copy(server, client)
			g.ended(client, server)
		})
		g.group.Go(func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		})
	}
}

// ended notes that a client has gone.
func (g *gate) ended(client, server net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ends = append(g.ends, time.Now())
	delete(g.lines, client)
	_, _ = client.Close(), server.Close()
}

// endsAfter returns when connections ended by their clients, after a moment.
func (g *gate) endsAfter(moment time.Time) []time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	var after []time.Time
	for _, end := range g.ends {
		if end.After(moment) {
			after = append(after, end)
		}
	}
	return after
}
