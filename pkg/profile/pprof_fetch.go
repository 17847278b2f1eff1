package profile

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

const (
	// maxAnswer bounds what is read from a target, compressed or not, and maxEntries
	// of how many things it may speak, each of which takes a hundred bytes here.
	maxAnswer  = 32 << 20
	maxEntries = 1 << 20
	// answerWait is how long one answer may take.
	answerWait = 3 * time.Second
	// maxExcuse is how much of an answer that is no profile is read.
	maxExcuse = 4 << 10
)

var errTooLong = fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)

// pages are the debug pages of one process.
type pages struct {
	base   *url.URL // without user and query, and without a slash at its end
	user   *url.Userinfo
	query  string // goes with every request
	header http.Header
	tls    *tls.Config
	client *http.Client
}

func newPages(u *url.URL, c PprofConfig) *pages {
	base := *u
	base.User, base.RawQuery, base.Fragment, base.RawFragment = nil, "", "", ""
	setPath(&base, strings.TrimRight(u.EscapedPath(), "/"))
	p := &pages{base: &base, user: u.User, query: foreign(u.RawQuery), header: c.Header, tls: c.TLS.Clone()}
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

// foreign is a query as it was given but for what net/http/pprof takes: the
// difference of some seconds, or text, is no profile here.
func foreign(query string) string {
	pairs := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{"", "seconds", "gc", "debug"}, name)
	})
	return strings.Join(pairs, "&")
}

// setPath takes an escaped path as it is. A proxy may tell %2F from a slash, and
// two slashes from one, which URL.JoinPath does not.
func setPath(u *url.URL, escaped string) {
	u.RawPath = escaped
	u.Path, _ = url.PathUnescape(escaped) // what EscapedPath gives is well formed
}

// String is the address without secrets, for problems.
func (p *pages) String() string { return p.base.String() }

func (p *pages) request(ctx context.Context, page, query string) (*http.Request, error) {
	u := *p.base
	setPath(&u, u.EscapedPath()+"/"+page)
	u.RawQuery = strings.Trim(query+"&"+p.query, "&")
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
	return fmt.Errorf("the answer has status %d: %s", a.status, line)
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
	return fmt.Errorf("the %s profile of %s: %w", k, p, &discreet{explain(err), p.secrets()})
}

// discreet is an error without secrets: a target likes to repeat what it was
// asked.
type discreet struct {
	cause   error
	secrets []string // in the order in which to look for them
}

func (d *discreet) Error() string {
	text := d.cause.Error()
	for _, s := range d.secrets {
		text = strings.ReplaceAll(text, s, "…")
	}
	return clean(text, maxName) // not before: half of a secret would not be found
}

func (d *discreet) Unwrap() error { return d.cause }

// secrets are the password and the values of the query, escaped and not, the
// longest first, as one may be in another.
func (p *pages) secrets() []string {
	password, _ := p.user.Password()
	found := []string{password}
	for pair := range strings.SplitSeq(p.query, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			value = name
		}
		found = append(found, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			found = append(found, plain)
		}
	}
	// What is shorter is no secret, and is in many a word.
	found = slices.DeleteFunc(found, func(s string) bool { return len(s) < 3 })
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	return found
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
	if n := entries(body); n > maxEntries {
		return nil, fmt.Errorf("no profile: %d entries are more than the %d it may have", n, maxEntries)
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

// entries counts the fields of a protocol buffer's topmost message: in a profile its
// samples, locations, functions and strings. It stops where the text is none.
func entries(message []byte) int {
	n := 0
	for len(message) > 0 {
		tag, size := binary.Uvarint(message)
		if size <= 0 {
			return n
		}
		message = message[size:]
		length := uint64(0)
		switch tag & 7 { // the wire type
		case 0:
			_, size = binary.Uvarint(message)
			length = uint64(max(size, 0))
		case 1:
			length = 8
		case 2:
			if length, size = binary.Uvarint(message); size <= 0 {
				return n
			}
			message = message[size:]
		case 5:
			length = 4
		default:
			return n
		}
		if length > uint64(len(message)) || tag&7 == 0 && length == 0 {
			return n
		}
		message = message[length:]
		n++
	}
	return n
}
