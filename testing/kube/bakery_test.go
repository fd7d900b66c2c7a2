package kube_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// bakery is an overlay of examples/bakery-ia for development, with services that do nothing but respond.
const bakery = `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [deploy/../../examples/bakery-ia/dev]
images:
  - {name: bakery/migrations, newName: rig.local/bakery, newTag: dev}
SERVICES
patches:
  - target: {kind: Deployment, labelSelector: tier=service}
    patch: |-
      - op: add
        path: /spec/template/spec/containers/0/command
        value: [sh, -c, 'trap "exit 0" TERM; while :; do printf "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" | nc -l -p 8000 >/dev/null; done']
      - {op: replace, path: /spec/template/spec/containers/0/livenessProbe, value: null}
      - {op: replace, path: /spec/template/spec/containers/0/resources, value: {requests: {cpu: 10m}}}
`

// TestBakery runs the fourteen services with their one daemon. One of them is broken, which is nobody else's trouble; then
// an edit of the ConfigMap recreates all databases.
func TestBakery(t *testing.T) {
	t.Parallel()
	r := cluster(t)
	names := strings.Fields("auth tenant training forecasting sales external notification inventory recipes suppliers pos orders production alert-processor")
	databases, files := map[string]*database{}, map[string]string{}
	var images, urls, waits strings.Builder
	for _, name := range names {
		databases[name] = newDatabase(t, r)
		files["/services/"+name+"/migrations/00001_first.sql"] = "-- +goose Up\nCREATE TABLE users (id bigint PRIMARY KEY);\n"
		fmt.Fprintf(&images, "  - {name: bakery/%s-service, newName: rig.local/busybox, newTag: \"1\"}\n", name)
		fmt.Fprintf(&urls, "%s_DATABASE_URL: %q, ", strings.ToUpper(strings.ReplaceAll(name, "-", "_")), databases[name].owner)
		fmt.Fprintf(&waits, "%s: %q, ", name, databases[name].waiter)
	}
	files["/services/orders/migrations/00001_first.sql"] = "-- +goose Up\nCREATE TABLE users (id nonsense);\n"
	s := &service{namespace: newNamespace(t, "bakery"), db: databases["auth"], image: "bakery"}
	for name, keys := range map[string]string{"bbmd": urls.String(), "bakery-wait": waits.String()} {
		s.apply(fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s}, stringData: {%s}}", name, keys))
	}
	s.rig.image(t, "rig.local/bakery:dev", files)
	s.apply(s.render(strings.Replace(bakery, "SERVICES\n", images.String(), 1), nil))

	served := func(how string, many int) {
		t.Helper()
		s.eventually(fmt.Sprintf("%d services are ready: %s", many, how), func() bool {
			pods := slices.DeleteFunc(s.pods("service"), func(p pod) bool { return !p.ready() })
			return len(pods) == many
		})
	}
	served("all but one", len(names)-1)
	s.daemon("it says which is not", func(p pod) bool {
		return !p.ready() && strings.Contains(s.do("logs", p.Metadata.Name), `type \"nonsense\" does not exist`)
	})

	for _, db := range databases {
		db.Exec(t, "CREATE TABLE IF NOT EXISTS users (id bigint); INSERT INTO users VALUES (1)")
	}
	databases["orders"].Exec(t, "DROP TABLE users")
	s.do("patch", "configmap/bbmd", "--type=merge", "-p", strings.ReplaceAll(`{"data":{"bbmd.yaml":"discover: /services\ndevelopment_mode: true\nforce_recreate: monday\n"}}`, "\n", ""))
	for _, name := range names {
		if name == "orders" {
			continue
		}
		s.eventually("the database of "+name+" is recreated", func() bool {
			return pgtest.One[int](t, databases[name].Database, "SELECT count(*)::int FROM bbm.runs WHERE action = 'recreate' AND outcome = 'finished'") == 1
		})
		require.Zero(t, pgtest.One[int](t, databases[name].Database, "SELECT count(*)::int FROM users"), name)
	}
	served("as before", len(names)-1)
}
