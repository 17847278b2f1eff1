package profile

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

const (
	// maxAnswer bounds what is read from a target, compressed or not.
	maxAnswer = 64 << 20
	// answerWait is how long one answer may take.
	answerWait = 3 * time.Second
	// maxExcuse is how much of an answer that is no profile is read.
	maxExcuse = 4 << 10
)

var errTooLong = fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)

// pages are the debug pages of one process.
type pages struct {
	base   *url.URL // without user
	user   *url.Userinfo
	header http.Header
	tls    *tls.Config
	client *http.Client
}

func newPages(u *url.URL, c PprofConfig) *pages {
	base := *u
	base.User, base.RawQuery, base.Fragment = nil, "", ""
	base.RawPath, base.Path = "", strings.TrimRight(u.Path, "/")
	p := &pages{base: &base, user: u.User, header: c.Header, tls: c.TLS.Clone()}
	if p.tls == nil {
		p.tls = &tls.Config{}
	}
	// HTTP/1.1 alone: it ends a profile by closing half of a connection.
	p.tls.NextProtos = []string{"http/1.1"}
	p.client = &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:        p.tls,
			DisableCompression:     true, // profiles are compressed as they are
			MaxIdleConns:           1,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p
}

// String is the address without password, for problems.
func (p *pages) String() string { return p.base.String() }

func (p *pages) request(ctx context.Context, page, query string) (*http.Request, error) {
	u := *p.base.JoinPath(page)
	u.RawQuery = query
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	for name, values := range p.header {
		r.Header[name] = values
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	if p.user != nil {
		password, _ := p.user.Password()
		r.SetBasicAuth(p.user.Username(), password)
	}
	return r, nil
}

// page says where profiles of a kind that end at once are. Allocations come into
// Go's profile with the next collection but one (runtime.MemProfile), which leaves
// a phase out unless there is one; only the page heap can be asked for it, and it
// has the counters of allocs too.
func (k Kind) page() (page, query string) {
	if k == Heap || k == Allocs {
		return string(Heap), "gc=1"
	}
	return string(k), ""
}

// snapshot is the profile as it stands.
func (p *pages) snapshot(ctx context.Context, k Kind) (*profile.Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	page, query := k.page()
	a, err := p.get(ctx, page, query)
	if err == nil && a.status != http.StatusOK {
		err = a.refusal()
	}
	var data *profile.Profile
	if err == nil {
		data, err = parse(a.body, maxAnswer)
	}
	if err != nil {
		return nil, p.problem(k, err)
	}
	return data, nil
}

// get asks over a connection that is kept.
func (p *pages) get(ctx context.Context, page, query string) (answer, error) {
	r, err := p.request(ctx, page, query)
	if err != nil {
		return answer{}, err
	}
	response, err := p.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	return read(response)
}

// answer is what the target said.
type answer struct {
	status int
	body   []byte // of a status other than 200 the beginning
}

func read(response *http.Response) (answer, error) {
	limit := int64(maxAnswer)
	if response.StatusCode != http.StatusOK {
		limit = maxExcuse
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil && response.StatusCode == http.StatusOK:
		return answer{}, err
	case int64(len(body)) > limit && response.StatusCode == http.StatusOK:
		return answer{}, errTooLong
	}
	return answer{response.StatusCode, body[:min(int64(len(body)), limit)]}, nil
}

// refusal is the error behind a status that brings no profile.
func (a answer) refusal() error {
	switch a.status {
	case http.StatusNotFound:
		return &shut{`there is no net/http/pprof here (status 404): the target has to import _ "net/http/pprof" and serve it`}
	case http.StatusUnauthorized, http.StatusForbidden:
		return &shut{fmt.Sprintf("profiles may not be seen (status %d): put user and password into the URL, or give the header that it wants", a.status)}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(a.body)), "\n")
	if line == "" {
		return fmt.Errorf("the answer has status %d", a.status)
	}
	return fmt.Errorf("the answer has status %d: %s", a.status, clean(line, maxName))
}

// shut is why no profile of any kind is to be had.
type shut struct{ reason string }

func (s *shut) Error() string { return s.reason }

// problem puts an error into its context.
func (p *pages) problem(k Kind, err error) error {
	var all *shut
	if errors.As(err, &all) {
		return fmt.Errorf("%s: %w", p, err)
	}
	return fmt.Errorf("the %s profile of %s: %w", k, p, explain(err))
}

// silent tells whether the target is likely to be as mute about everything else.
func silent(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &network)
}

// explain puts a wait that ended into a reader's words, and takes the address off
// that a problem names already.
func explain(err error) error {
	var network net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout() {
		return &mute{err}
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

type mute struct{ cause error }

func (*mute) Error() string   { return "the target did not answer in time" }
func (m *mute) Unwrap() error { return m.cause }

// parse reads a profile in pprof's format, github.com/google/pprof,
// proto/profile.proto, of so many bytes once unpacked. Legacy text formats are not
// read.
func parse(body []byte, limit int64) (*profile.Profile, error) {
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("no profile: %w", err)
		}
		if body, err = io.ReadAll(io.LimitReader(z, limit+1)); err != nil {
			return nil, fmt.Errorf("no whole profile: %w", err)
		}
		if int64(len(body)) > limit {
			return nil, errTooLong
		}
	}
	p, err := profile.ParseUncompressed(body)
	if err == nil {
		err = p.CheckValid()
	}
	if err != nil {
		return nil, fmt.Errorf("no profile: %w", err)
	}
	if p.PeriodType == nil {
		p.PeriodType = &profile.ValueType{} // Merge wants one
	}
	return p, nil
}
