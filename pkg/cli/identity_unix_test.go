//go:build unix

package cli

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestTheCommandForTokensIsEnded with what it has started, when it takes too long and
// when the user gives up.
func TestTheCommandForTokensIsEnded(t *testing.T) {
	for _, c := range []struct {
		name   string
		limit  time.Duration
		cancel bool
		want   string
	}{
		{"too slow", 500 * time.Millisecond, false, "was not done within 500ms"},
		{"given up", time.Hour, true, context.Canceled.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			held := newLeash(t, func() {
				if c.cancel {
					cancel()
				}
			})
			_, err := runForTokens(ctx, held.take+"sleep 1000 & wait", 1, c.limit)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			held.awaitRelease(t)
		})
	}
}

func TestParseTokens(t *testing.T) {
	got, err := parseTokens("one\r\n\n \t\r\ntwo words\nlast")
	if want := "one|two words|last"; err != nil || strings.Join(got, "|") != want {
		t.Errorf("%q, %v; want %s", got, err, want)
	}
	if _, err := parseTokens("one\n\nT0K\x7fEN"); err == nil || !strings.Contains(err.Error(), "line 3") || strings.Contains(err.Error(), "T0K") {
		t.Errorf("error %v, want one about line 3 without the token", err)
	}
}
