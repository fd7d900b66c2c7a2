package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
)

// Dashboard is the server of the web page and its JSON API.
type Dashboard struct {
	// Listen is the address to listen on: host:port, or :port for all
	// interfaces; port 0 takes a free one. One that others than this machine
	// can reach needs a token. Empty means no dashboard. Defaults to empty.
	Listen string `koanf:"listen" flag:"dashboard-listen"`
	// Hosts are names under which it is reached besides localhost and IP
	// addresses, such as that of a proxy before it; a request for any other is
	// refused, which is what keeps other people's pages out. Defaults to empty.
	Hosts Hosts `koanf:"hosts"`
	// Token is what one needs to know to read and to act, 16 characters or
	// more. It excludes TokenFile. Without any, everybody who reaches it may
	// read, and nobody act. Defaults to empty.
	Token AccessToken `koanf:"token"`
	// TokenFile is a file that holds the token. It is read whenever somebody
	// shows one, so a rotated token needs no restart. A relative path in the
	// configuration file starts at that file's directory. It excludes Token.
	// Defaults to empty.
	TokenFile string `koanf:"token_file"`
	// PublicRead says that reading needs no token where there is one. Errors
	// of SQL, which are shown, may contain data. Defaults to false.
	PublicRead bool `koanf:"public_read"`
}

// MinAccessToken is how many characters a token has to have.
const MinAccessToken = 16

// HasToken reports whether there is a token, right or wrong.
func (d Dashboard) HasToken() bool { return d.Token != "" || d.TokenFile != "" }

// AccessToken returns the token, or "" where none is configured. It reads TokenFile at
// every call.
func (d Dashboard) AccessToken() (string, error) {
	token := string(d.Token)
	if d.TokenFile != "" {
		content, err := os.ReadFile(d.TokenFile)
		if err != nil {
			if reason, ok := errors.AsType[*fs.PathError](err); ok {
				err = reason.Err
			}
			return "", fmt.Errorf("read token_file %s: %w", d.TokenFile, err)
		}
		token = strings.TrimSpace(string(content))
	}
	if len(token) < MinAccessToken && d.HasToken() {
		return "", fmt.Errorf("the token has %d characters, and needs %d or more", len(token), MinAccessToken)
	}
	return token, nil
}

// Loopback reports whether an address to listen on is only reached from this
// machine.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// AccessToken is a secret. However it is printed, logged or marshalled, it is not there;
// only string(token) has it.
type AccessToken string

// String returns nothing of the token but whether there is one.
func (t AccessToken) String() string {
	if t == "" {
		return ""
	}
	return masked
}

// GoString returns what String returns, quoted.
func (t AccessToken) GoString() string { return fmt.Sprintf("config.AccessToken(%q)", t.String()) }

// Format writes what String returns, whatever the verb.
func (t AccessToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue returns what String returns.
func (t AccessToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText returns what String returns, for JSON, YAML and TOML alike.
func (t AccessToken) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Hosts are names of hosts, separated by commas.
type Hosts string

// Names returns the names, in small letters.
func (h Hosts) Names() []string {
	var names []string
	for name := range strings.SplitSeq(string(h), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// parseHosts accepts a list, and a text that is one with commas.
func parseHosts(raw any) (Hosts, error) {
	if list, ok := raw.([]any); ok {
		names, err := parseList(list, "write names, such as [bbmd.example.com]")
		return Hosts(strings.Join(names, ",")), err
	}
	if hosts, ok := raw.(Hosts); ok {
		return hosts, nil
	}
	text, err := parseString(raw)
	return Hosts(strings.TrimSpace(text)), err
}

func (v *validator) dashboard() {
	d := v.config.Dashboard
	if d.Listen == "" {
		return
	}
	v.address("dashboard.listen", d.Listen, `write 127.0.0.1:8081 or [::1]:8081; "" for no dashboard`)
	for _, name := range d.Hosts.Names() {
		if strings.ContainsAny(name, "/:@ *") {
			v.report("dashboard.hosts", refuse(v.quote("dashboard.hosts", name)+" is not the name of a host", "write it without scheme and port, such as bbmd.example.com"))
		}
	}
	switch _, err := d.AccessToken(); {
	case d.Token != "" && d.TokenFile != "":
		v.report("dashboard.token", refuse("token and token_file are both set", "keep one of them"))
	case err != nil && d.TokenFile != "":
		v.report("dashboard.token_file", refuse(err.Error(), "check the path, its permissions and its content: openssl rand -hex 32 makes a token"))
	case err != nil:
		v.report("dashboard.token", refuse(err.Error(), "openssl rand -hex 32 makes one"))
	case !d.HasToken() && !Loopback(d.Listen):
		v.report("dashboard.listen", refuse("others than this machine could read what is in it without a token",
			"set dashboard.token_file, or listen on 127.0.0.1"))
	}
}
