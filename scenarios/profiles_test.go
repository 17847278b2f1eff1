package scenarios

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/profile"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/testserver"
)

// TestWhatHappensWhileProfilesAreFetchedIsAfterTheRun: the server ends while the last
// profile is asked for, and no client is charged with it.
func TestWhatHappensWhileProfilesAreFetchedIsAfterTheRun(t *testing.T) {
	server, env := serve(t, testserver.Config{})
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = server.Close() // every stream breaks off
		http.Error(w, "no profile", http.StatusNotFound)
	}))
	defer pages.Close()
	at, err := url.Parse(pages.URL)
	if err != nil {
		t.Fatal(err)
	}
	site := env.Server.(there).site
	site.Profile = func() (profile.Source, error) {
		return profile.Pprof(profile.PprofConfig{URLs: []*url.URL{at}}), nil
	}
	env.Server = there{site}
	env.Profiles = &Profiles{Kinds: []profile.Kind{profile.Heap}, Dir: t.TempDir()}
	run, err := runOf(context.Background(), env, Connect{Load: asked(20, stream.Auto)})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if c := run.Connect; c.Opened != 20 || c.Dropped != 0 {
		t.Errorf("%d opened, %d dropped: %v", c.Opened, c.Dropped, c.Drops)
	}
	if len(run.Notes) == 0 || !strings.Contains(strings.Join(run.Notes, "\n"), "profiles: ") {
		t.Errorf("no word of the profile that could not be had: %q", run.Notes)
	}
}

func TestNoWayToProfileIsANote(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	site := env.Server.(there).site
	site.Profile = func() (profile.Source, error) { return nil, errors.New("nobody knows how") }
	env.Server = there{site}
	env.Profiles = &Profiles{Kinds: []profile.Kind{profile.CPU}, Dir: t.TempDir()}
	run, err := runOf(context.Background(), env, Connect{Load: asked(5, stream.Auto)})
	if err != nil || run.Connect.Opened != 5 || !strings.Contains(strings.Join(run.Notes, "\n"), "no profile was taken: nobody knows how") {
		t.Errorf("%v, %q", err, run.Notes)
	}
}
