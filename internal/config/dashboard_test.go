package config_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

const goodToken = "0123456789abcdef"

func TestDashboardNeedsATokenWhereOthersReachIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	short, empty := filepath.Join(dir, "short"), filepath.Join(dir, "empty")
	writeFile(t, short, "hunter2\n")
	writeFile(t, empty, "\n")
	load := func(lines string) error {
		_, err := config.Load(given{file: "databases: {a: {url: host=h}}\ndashboard: {" + lines + "}\n"}.sources(t))
		return err
	}
	for _, fine := range []string{
		"", "listen: '127.0.0.1:0'", "listen: '[::1]:1'", "listen: 'localhost:1'", "listen: ':1', token: " + goodToken,
		"listen: '127.0.0.1:1', hosts: [a.example, b]", "listen: '127.0.0.1:1', hosts: 'a, b'",
	} {
		require.NoError(t, load(fine), fine)
	}
	for wrong, want := range map[string]string{
		"listen: ':1'":         "without a token",
		"listen: '10.0.0.1:1'": "without a token",
		"listen: 'example.com:1', public_read: true":               "without a token",
		"listen: '127.0.0.1'":                                      "is not host:port",
		"listen: ':1', token: hunter2":                             "the token has 7 characters, and needs 16 or more",
		"listen: ':1', token_file: " + short:                       "the token has 7 characters",
		"listen: ':1', token_file: " + empty:                       "the token has 0 characters",
		"listen: ':1', token_file: " + dir + "/none":               "none: no such file",
		"listen: ':1', token: " + goodToken + ", token_file: /x":   "token and token_file are both set",
		"listen: '127.0.0.1:1', hosts: ['https://bbmd.example']":   "is not the name of a host",
		"listen: '127.0.0.1:1', hosts: {a: b}":                     "a mapping",
		"listen: '127.0.0.1:1', token: [" + goodToken + ", other]": "a list",
	} {
		err := load(wrong)
		require.ErrorContains(t, err, want, wrong)
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), goodToken)
	}
}

func TestAccessTokenIsNeverPrinted(t *testing.T) {
	t.Parallel()
	token := config.AccessToken(goodToken)
	marshalled, err := json.Marshal(token)
	require.NoError(t, err)
	for _, shown := range []string{
		fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %q %s %x", token, token, token, token, token, token),
		fmt.Sprintf("%+v", config.Dashboard{Token: token}), token.GoString(), token.LogValue().String(), string(marshalled),
	} {
		require.NotContains(t, shown, goodToken)
		require.Contains(t, shown, "***")
	}
	require.Empty(t, config.AccessToken("").String())
}

func TestAccessTokenIsReadEachTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	d := config.Dashboard{TokenFile: path}
	writeFile(t, path, goodToken+"\n")
	token, err := d.AccessToken()
	require.NoError(t, err)
	require.Equal(t, goodToken, token)
	writeFile(t, path, "another"+goodToken)
	token, err = d.AccessToken()
	require.NoError(t, err)
	require.Equal(t, "another"+goodToken, token)
	token, err = config.Dashboard{}.AccessToken()
	require.NoError(t, err)
	require.Empty(t, token)
}
