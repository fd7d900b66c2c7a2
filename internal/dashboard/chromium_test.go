package dashboard_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browser is a headless Chromium that is spoken to in its own protocol, through a pipe.
type browser struct {
	t       *testing.T
	to      *os.File
	session string

	mu      sync.Mutex
	next    int
	waiting map[int]chan message
	loaded  chan struct{}
	seen    []string // what it asked the network for
	wrong   []string // what it complained about
}

// message is one of the protocol.
type message struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Session   string          `json:"sessionId,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Exception *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// open starts the browser at that path, which ends with the test.
func open(t *testing.T, path string) *browser {
	t.Helper()
	toRead, toWrite, err := os.Pipe()
	require.NoError(t, err)
	fromRead, fromWrite, err := os.Pipe()
	require.NoError(t, err)
	home := t.TempDir()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio",
		"--remote-debugging-pipe", "--user-data-dir="+filepath.Join(home, "profile"), "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.ExtraFiles = []*os.File{toRead, fromWrite} // its descriptors 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // and its helpers
	require.NoError(t, cmd.Start())
	_, _ = toRead.Close(), fromWrite.Close()
	b := &browser{t: t, to: toWrite, waiting: map[int]chan message{}, loaded: make(chan struct{}, 1)}
	var reading sync.WaitGroup
	reading.Go(func() { b.read(fromRead) })
	t.Cleanup(func() {
		_ = toWrite.Close()
		cancel()
		_ = cmd.Wait()
		_ = fromRead.Close()
		reading.Wait()
	})
	b.attach()
	return b
}

// attach opens a page and listens to what happens there.
func (b *browser) attach() {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
}

func (b *browser) read(from *os.File) {
	reader := bufio.NewReader(from)
	for {
		raw, err := reader.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(raw[:len(raw)-1], &m) == nil {
			b.take(m)
		}
	}
}

func (b *browser) take(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if answer, ok := b.waiting[m.ID]; ok && m.ID != 0 {
		delete(b.waiting, m.ID)
		answer <- m
		return
	}
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case b.loaded <- struct{}{}:
		default:
		}
	case "Runtime.exceptionThrown", "Log.entryAdded":
		b.wrong = append(b.wrong, string(m.Params))
	case "Network.requestWillBeSent":
		var sent struct{ Request struct{ URL string } }
		if json.Unmarshal(m.Params, &sent) == nil {
			b.seen = append(b.seen, sent.Request.URL)
		}
	}
}

// call sends a command, and waits for its result.
func (b *browser) call(method string, params, into any) {
	b.t.Helper()
	raw, err := json.Marshal(params)
	require.NoError(b.t, err)
	if params == nil {
		raw = nil
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.next++
	m := message{ID: b.next, Method: method, Params: raw, Session: b.session}
	b.waiting[m.ID] = answer
	b.mu.Unlock()
	text, err := json.Marshal(m)
	require.NoError(b.t, err)
	_, err = b.to.Write(append(text, 0))
	require.NoError(b.t, err)
	select {
	case got := <-answer:
		require.Nil(b.t, got.Exception, "%s: %+v", method, got.Exception)
		if into != nil {
			require.NoError(b.t, json.Unmarshal(got.Result, into))
		}
	case <-time.After(2 * patience):
		require.FailNow(b.t, "the browser does not answer", method)
	}
}

// visit loads a page.
func (b *browser) visit(url string) {
	b.t.Helper()
	b.loads(func() { b.call("Page.navigate", map[string]any{"url": url}, nil) })
}

// loads does something that loads a page, and waits until it has.
func (b *browser) loads(do func()) {
	b.t.Helper()
	select {
	case <-b.loaded:
	default:
	}
	do()
	select {
	case <-b.loaded:
	case <-time.After(2 * patience):
		require.FailNow(b.t, "the page does not load")
	}
}

// eval returns the value of an expression in the page.
func eval[T any](b *browser, expression string) (value T) {
	b.t.Helper()
	var got struct {
		Result           struct{ Value T }
		ExceptionDetails *struct{ Text string }
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &got)
	require.Nil(b.t, got.ExceptionDetails, expression)
	return got.Result.Value
}

// until waits until an expression is true in the page, whatever changes there.
func (b *browser) until(expression string) {
	b.t.Helper()
	met := eval[bool](b, fmt.Sprintf(`new Promise((done) => {
		const met = () => { try { return Boolean(%s) } catch { return false } };
		if (met()) return done(true);
		const watch = new MutationObserver(() => { if (met()) { watch.disconnect(); done(true) } });
		watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
		setTimeout(() => done(met()), %d);
	})`, expression, patience.Milliseconds()))
	require.True(b.t, met, "never: %s\n%s", expression, eval[string](b, "document.body.innerText"))
}

// focuses waits until the page that was loaded has given that field the focus, which it does
// by itself, though not before its first picture is drawn. It asks from outside: a page whose
// scripts are switched off has nobody to wait in it.
func (b *browser) focuses(field string) {
	b.t.Helper()
	for began := time.Now(); eval[string](b, `document.activeElement?.name ?? ""`) != field; {
		require.Less(b.t, time.Since(began), patience, "the focus is never on %s", field)
	}
}

// types types text where the focus is.
func (b *browser) types(text string) {
	b.t.Helper()
	b.call("Input.insertText", map[string]any{"text": text}, nil)
}

// press presses a key.
func (b *browser) press(key string, code int, text string) {
	b.t.Helper()
	down := map[string]any{"type": "keyDown", "key": key, "windowsVirtualKeyCode": code}
	if text != "" {
		down["text"] = text
	}
	b.call("Input.dispatchKeyEvent", down, nil)
	b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "windowsVirtualKeyCode": code}, nil)
}

// look says what kind of screen there is.
func (b *browser) look(width, height int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// screenshot returns what is seen, as PNG.
func (b *browser) screenshot(whole bool) []byte {
	b.t.Helper()
	var got struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}, &got)
	image, err := base64.StdEncoding.DecodeString(got.Data)
	require.NoError(b.t, err)
	return image
}
