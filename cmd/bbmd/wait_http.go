package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/await"
)

// waitPoll is how long the daemon may hold one answer back.
const waitPoll = 20 * time.Second

// waitHTTP asks a daemon, again and again, until it says yes or no.
func (a *app) waitHTTP(ctx context.Context, names []string, flags waitFlags, tell func(database, says string)) error {
	base, err := a.waitURL(flags.url)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = []string{""} // the daemon's only one
	}
	parent := ctx
	if flags.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, flags.timeout)
		defer cancel()
	}
	for _, name := range names {
		p := &poller{base: base, database: name, flags: flags, tell: tell, left: waitPoll, grace: await.Grace{For: graceOf(flags)}}
		err := p.run(ctx)
		switch {
		case err == nil:
		case parent.Err() == nil && ctx.Err() != nil:
			return &daemon.WaitTimeoutError{Database: p.name(), After: flags.timeout, Goals: p.goals(), Says: p.says, Lost: p.lost}
		default:
			return err
		}
	}
	return nil
}

// waitURL is where the daemon listens.
func (a *app) waitURL(given string) (string, error) {
	if given != "" {
		parsed, err := url.Parse(given)
		if err != nil || parsed.Host == "" || !strings.HasPrefix(parsed.Scheme, "http") {
			return "", withCode(exitUsage, fmt.Errorf("--url %s: it is no http://host:port", given))
		}
		return strings.TrimRight(given, "/"), nil
	}
	cfg, err := a.load()
	if err != nil {
		return "", err
	}
	address, err := probeURL(cfg.HTTP.Listen)
	return address, withCode(exitUsage, err)
}

// poller asks a daemon about one database.
type poller struct {
	base, database string
	flags          waitFlags
	tell           func(database, says string)
	says           string
	lost           bool
	grace          await.Grace
	left           time.Duration // until the failure that was seen last counts
}

// goals are for messages: the daemon refuses what it does not understand.
func (p *poller) goals() []await.Goal {
	goals, err := await.ParseGoals(p.flags.goals)
	if err != nil {
		return nil
	}
	return goals
}

func (p *poller) name() string {
	if p.database == "" {
		return "(the daemon's only one)"
	}
	return p.database
}

func (p *poller) run(ctx context.Context) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 100*time.Millisecond, 2*time.Second
	for {
		reached, err := p.ask(ctx)
		if reached || isFinal(err) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.lost = err != nil
		if err == nil {
			pauses.Reset()
			continue
		}
		p.tell(p.name(), err.Error())
		p.says = err.Error()
		timer := time.NewTimer(pauses.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// isFinal reports whether asking again does not help.
func isFinal(err error) bool {
	var coded *exitError
	_, failed := errors.AsType[*daemon.WaitFailedError](err)
	return failed || errors.As(err, &coded)
}

// ask asks once. It reports whether the daemon said yes; an error is a no, or that there was no answer.
func (p *poller) ask(ctx context.Context) (reached bool, err error) {
	query := url.Values{"for": p.flags.goals, "timeout": {min(waitPoll, max(p.flags.progress, time.Second), p.left).String()}}
	if p.database != "" {
		query.Set("database", p.database)
	}
	if p.flags.strict {
		query.Set("strict", "true")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*waitPoll)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+daemon.WaitPath+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return false, withCode(exitUsage, fmt.Errorf("ask the daemon: %w", err))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, fmt.Errorf("ask the daemon: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	return p.answer(response)
}

func (p *poller) answer(response *http.Response) (bool, error) {
	var answer daemon.WaitAnswer
	body, err := io.ReadAll(io.LimitReader(response.Body, probeAnswer))
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	switch {
	case err != nil:
		return false, fmt.Errorf("the daemon's answer, %s, is none: %w", response.Status, err)
	case response.StatusCode == http.StatusOK && answer.Reached:
		return true, nil
	case response.StatusCode == http.StatusAccepted:
		p.says = answer.Says
		p.tell(answer.Database, answer.Says)
		return false, p.blocked(answer)
	case response.StatusCode == http.StatusBadRequest, response.StatusCode == http.StatusNotFound:
		return false, withCode(exitUsage, errors.New(answer.Says))
	default:
		return false, errors.New("the daemon answers " + strconv.Itoa(response.StatusCode) + ": " + answer.Says)
	}
}

// blocked returns the failure that the daemon sees once nobody has repeated it for long enough.
func (p *poller) blocked(answer daemon.WaitAnswer) error {
	var failed *daemon.WaitFailedError
	if answer.Failure != nil {
		failed = &daemon.WaitFailedError{Database: answer.Database, Decide: answer.Decide, Failure: *answer.Failure}
	}
	var over bool
	if p.left, over = p.grace.Left(failed); over {
		return failed
	}
	return nil
}
