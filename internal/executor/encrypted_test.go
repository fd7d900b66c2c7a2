package executor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// encrypted returns the same database through something that speaks TLS with clients, and not with the server.
func encrypted(t *testing.T, db *pgtest.Database) *pgtest.Database {
	t.Helper()
	address, err := url.Parse(db.URL)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	tunnel := &tunnel{server: address.Host, config: &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS13}}
	tunnel.all.Go(func() { tunnel.accept(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		tunnel.all.Wait()
	})
	through := *db
	address.Host = listener.Addr().String()
	query := address.Query()
	query.Set("sslmode", "require")
	address.RawQuery = query.Encode()
	through.URL = address.String()
	return &through
}

// tunnel passes on what comes on connections, until either side ends.
type tunnel struct {
	server string
	config *tls.Config
	all    sync.WaitGroup
}

func (e *tunnel) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		e.all.Go(func() { e.serve(client) })
	}
}

func (e *tunnel) serve(client net.Conn) {
	defer client.Close() //nolint:errcheck // the other side is told by the end
	var request [8]byte
	if _, err := io.ReadFull(client, request[:]); err != nil || request[0] != 0 {
		return
	}
	if request[7] != 47 { // a request to cancel, which is not encrypted: not needed
		return
	}
	if _, err := client.Write([]byte("S")); err != nil {
		return
	}
	secured := tls.Server(client, e.config)
	server, err := net.Dial("tcp", e.server)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(secured, server)
		_ = secured.Close()
	})
	_, _ = io.Copy(server, secured)
	_ = server.Close()
	back.Wait()
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
