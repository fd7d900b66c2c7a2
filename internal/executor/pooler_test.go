package executor_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// pooler is a transaction pooler: it gives every transaction of its one client to the
// server connection whose turn it is.
type pooler struct {
	target  *pgx.ConnConfig
	servers []*pgconn.HijackedConn
	group   sync.WaitGroup
}

func startPooler(t *testing.T, url string) *pooler {
	t.Helper()
	target, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	p := &pooler{target: target}
	for range 2 {
		conn, err := pgconn.Connect(t.Context(), url)
		require.NoError(t, err)
		hijacked, err := conn.Hijack()
		require.NoError(t, err)
		p.servers = append(p.servers, hijacked)
	}
	t.Cleanup(func() {
		p.group.Wait()
		for _, s := range p.servers {
			_ = s.Conn.Close()
		}
	})
	return p
}

// connect returns a connection through the pooler. One at a time.
func (p *pooler) connect(ctx context.Context) (*pgx.Conn, error) {
	p.group.Wait()
	config := p.target.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // a pooler knows no prepared statements
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		p.group.Go(func() {
			defer server.Close() //nolint:errcheck // nobody is there any more
			p.serve(pgproto3.NewBackend(server, server))
		})
		return client, nil
	}
	return pgx.ConnectConfig(ctx, config)
}

func (p *pooler) serve(client *pgproto3.Backend) {
	if _, err := client.ReceiveStartupMessage(); err != nil {
		return
	}
	client.Send(&pgproto3.AuthenticationOk{})
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if client.Flush() != nil {
		return
	}
	for turn := 0; p.transaction(client, p.servers[turn%len(p.servers)].Frontend); turn++ {
	}
}

// transaction relays messages up to a Sync or Query, and the answer.
func (p *pooler) transaction(client *pgproto3.Backend, server *pgproto3.Frontend) bool {
	for synced := false; !synced; {
		message, err := client.Receive()
		if err != nil {
			return false
		}
		switch message.(type) {
		case *pgproto3.Terminate:
			return false
		case *pgproto3.Sync, *pgproto3.Query:
			synced = true
		}
		server.Send(message)
	}
	if server.Flush() != nil {
		return false
	}
	for {
		message, err := server.Receive()
		if err != nil {
			return false
		}
		client.Send(message)
		if _, ready := message.(*pgproto3.ReadyForQuery); ready {
			return client.Flush() == nil
		}
	}
}
