package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	sessionCookie = "bbmd_session"
	sessionAge    = 12 * time.Hour
	// actorHeader says who a program acts for.
	actorHeader = "Bbmd-Actor"
	// longestName is how much of a name the audit keeps.
	longestName = 40
)

// keeper knows who may do what.
type keeper struct {
	token      func() (string, error) // nil: there is none
	publicRead bool
	origins    *http.CrossOriginProtection
}

func newKeeper(token func() (string, error), publicRead bool) *keeper {
	return &keeper{token: token, publicRead: publicRead, origins: http.NewCrossOriginProtection()}
}

// caller is who has sent a request.
type caller struct {
	May     bool   // act
	Session bool   // it has logged in
	Name    string // as they say themselves; may be empty
	Address string
}

// application is what the audit says of the caller.
func (c caller) application() string {
	name := c.Name
	if name == "" {
		name = "somebody"
	}
	return "bbmd dashboard: " + name + "@" + c.Address
}

// same compares two secrets in a time that says nothing of either.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return hmac.Equal(x[:], y[:])
}

// identify says who has sent a request. The error is about what it shows, a wrong token or
// a session that is over; one that shows nothing is nobody's.
func (k *keeper) identify(r *http.Request) (caller, error) {
	c := caller{Address: addressOf(r), Name: plainName(r.Header.Get(actorHeader))}
	if k.token == nil {
		return c, nil
	}
	if scheme, given, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		if err := k.check(strings.TrimSpace(given)); err != nil {
			return c, err
		}
		c.May = true
		return c, nil
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return c, nil //nolint:nilerr // it has no session
	}
	token, err := k.token()
	if err != nil {
		return c, fmt.Errorf("%w: %w", errNoToken, err)
	}
	name, ok := openSession(token, cookie.Value, time.Now())
	if !ok {
		return c, errSession
	}
	c.May, c.Session, c.Name = true, true, name
	return c, nil
}

// check says whether a token is the right one.
func (k *keeper) check(given string) error {
	token, err := k.token()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errNoToken, err)
	case token == "" || !same(given, token):
		return errToken
	default:
		return nil
	}
}

// admit says why a caller may not send the request.
func (k *keeper) admit(r *http.Request, c caller, needs access) error {
	switch {
	case needs == accessAct && k.token == nil:
		return errNoActing
	case needs == accessAct && !c.May, needs == accessRead && !c.May && !k.mayRead():
		return errWho
	case needs == accessAct || r.Method != http.MethodGet && r.Method != http.MethodHead:
		return k.fromHere(r, c)
	default:
		return nil
	}
}

// mayRead reports whether everybody may.
func (k *keeper) mayRead() bool { return k.token == nil || k.publicRead }

// fromHere refuses what another page makes a browser send. Every browser says where
// the request of a page comes from, so one with a session that does not is refused.
func (k *keeper) fromHere(r *http.Request, c caller) error {
	if err := k.origins.Check(r); err != nil {
		return errForeign
	}
	if c.Session && r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return errForeign
	}
	return nil
}

// seal returns the content of a session's cookie, which is good as long as the token is.
func seal(token, name string, until time.Time) string {
	content := strconv.FormatInt(until.Unix(), 10) + "." + base64.RawURLEncoding.EncodeToString([]byte(name))
	return content + "." + signature(token, content)
}

// openSession returns whose session it is.
func openSession(token, sealed string, now time.Time) (name string, ok bool) {
	dot := strings.LastIndexByte(sealed, '.')
	if dot < 0 || token == "" || !hmac.Equal([]byte(sealed[dot+1:]), []byte(signature(token, sealed[:dot]))) {
		return "", false
	}
	until, encoded, _ := strings.Cut(sealed[:dot], ".")
	seconds, err := strconv.ParseInt(until, 10, 64)
	if err != nil || now.Unix() >= seconds {
		return "", false
	}
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	return plainName(string(text)), err == nil
}

func signature(token, content string) string {
	mac := hmac.New(sha256.New, []byte("bbmd dashboard session\x00"+token))
	mac.Write([]byte(content))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// cookie makes one. It is sent over TLS only where that was how it was asked for.
func cookie(r *http.Request, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure would keep it from who is on this machine, in the clear
		Name: sessionCookie, Value: value, Path: "/", MaxAge: int(age.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}

// plainName is what a name keeps: what an application_name shows as it is.
func plainName(name string) string {
	kept := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._+-", r) {
			return r
		}
		return -1
	}, name)
	return kept[:min(len(kept), longestName)]
}
