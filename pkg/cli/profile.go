package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/profile"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/scenarios"
)

// profileFlags say which profiles of the target to take, and how.
type profileFlags struct {
	kinds      profileKinds
	dir        string
	pprofURL   pprofURL
	inspectURL inspectURL
}

func (f *profileFlags) add(flags *pflag.FlagSet) {
	flags.Var(&f.kinds, "profile", "profiles of the target to take in each phase: "+strings.Join(profile.KindNames(), ", "))
	flags.StringVar(&f.dir, "profile-dir", "", "`FOLDER` for their files (default beside the first file of -o, named after it, or sseload.profiles)")
	flags.Var(&f.pprofURL, "pprof-url", "where a Go target serves net/http/pprof; the bundled server does so by itself")
	flags.Var(&f.inspectURL, "inspect-url", "where the inspector of a Node target listens: what node --inspect prints")
}

// check finds flags that need others. bundled tells whether there is no URL of a
// target.
func (f *profileFlags) check(bundled bool) error {
	for _, flag := range []struct {
		name string
		set  bool
	}{{"--profile-dir", f.dir != ""}, {"--pprof-url", f.pprofURL.url != nil}, {"--inspect-url", f.inspectURL.url != nil}} {
		switch {
		case !flag.set:
		case len(f.kinds) == 0:
			return usagef("add for example --profile cpu,heap", "%s is about the profiles of --profile, which is not given", flag.name)
		case bundled && flag.name != "--profile-dir":
			return usagef("leave it out: the bundled server is profiled by itself", "%s needs a URL to subscribe to", flag.name)
		}
	}
	if f.pprofURL.url != nil && f.inspectURL.url != nil {
		return usagef("give the one that your server has", "--pprof-url and --inspect-url: a target is profiled in one way")
	}
	return nil
}

// profiles is what a series is to take; nil when that is nothing. The error is that
// there is no place for the files.
func (f *profileFlags) profiles(all outputs) (*scenarios.Profiles, error) {
	if len(f.kinds) == 0 {
		return nil, nil //nolint:nilnil // no profiles are asked for, which is no error
	}
	dir, shown := f.dir, f.dir
	record := all.record()
	switch {
	case dir == "" && record == "":
		dir = "sseload.profiles"
		shown = dir
	case dir == "":
		dir = strings.TrimSuffix(record, filepath.Ext(record)) + ".profiles"
		shown = filepath.Base(dir)
	case record != "":
		if relative, err := filepath.Rel(filepath.Dir(record), dir); err == nil {
			shown = relative
		}
	}
	if err := writable(dir); err != nil {
		return nil, &hinted{fmt.Errorf("--profile: %w", err), "name another folder with --profile-dir"}
	}
	return &scenarios.Profiles{Kinds: f.kinds, Dir: dir, Shown: filepath.ToSlash(shown)}, nil
}

// writable makes a folder, unless it is there, and finds out whether files can be put
// into it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // profiles are no more secret than reports
		return err
	}
	trial, err := os.CreateTemp(dir, ".trial-*")
	if err != nil {
		return err
	}
	return errors.Join(trial.Close(), os.Remove(trial.Name()))
}

// rebase has the profiles of a record, which was in one folder, named from another.
func rebase(f *result.File, from, to string) {
	for i := range f.Runs {
		profiles := f.Runs[i].Profiles
		for k := range profiles {
			for _, file := range []*string{&profiles[k].File, &profiles[k].Flame} {
				if relative, err := filepath.Rel(to, filepath.Join(from, filepath.FromSlash(*file))); err == nil {
					*file = filepath.ToSlash(relative)
				}
			}
		}
	}
}

// tellProfiles says on stderr where the profiles of runs are, if any were taken,
// and leaves no folder without any.
func (a *App) tellProfiles(p *scenarios.Profiles, runs []result.Run) {
	if p == nil {
		return
	}
	n, last := 0, "" // the last one is of the largest run of a series, and of its main phase
	for i := range runs {
		for _, taken := range runs[i].Profiles {
			n++
			if file := path.Base(taken.File); taken.Kind == string(p.Kinds[0]) {
				last = file
			}
		}
	}
	if n == 0 {
		_ = os.Remove(p.Dir) // unless something is in it
		return
	}
	how := ""
	if strings.HasSuffix(last, ".pb.gz") {
		how = "; look at one with go tool pprof " + filepath.Join(p.Dir, last)
	}
	a.note("profiles taken: %d, in %s%s", n, p.Dir, how)
}

// remoteSource is how a server that is there already can be profiled.
func (f *profileFlags) remoteSource(r *remote) (profile.Source, error) {
	switch {
	case f.pprofURL.url != nil:
		cfg := profile.PprofConfig{URLs: []*url.URL{f.pprofURL.url}, TLS: r.target.TLS}
		if f.pprofURL.url.User == nil && sameOrigin(r.target.URL, f.pprofURL.url) {
			cfg.Header = r.credentials
		}
		return profile.Pprof(cfg), nil
	case f.inspectURL.url != nil:
		return profile.Inspector(f.inspectURL.url, r.target.TLS), nil
	case r.pid != 0:
		return profile.Perf(r.pid), nil
	}
	return nil, errors.New("the target is none of this machine's processes; name its --pprof-url or --inspect-url")
}

// sameOrigin reports whether two URLs have scheme, host and port in common, so that
// what is meant for one may be told to the other.
func sameOrigin(rawURL string, u *url.URL) bool {
	other, err := url.Parse(rawURL)
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	return err == nil && other.Scheme == u.Scheme && strings.EqualFold(other.Hostname(), u.Hostname()) && port(other) == port(u)
}

// profileKinds is a list of kinds of profiles, "cpu,heap".
type profileKinds []profile.Kind

func (v *profileKinds) String() string {
	names := make([]string, len(*v))
	for i, k := range *v {
		names[i] = string(k)
	}
	return strings.Join(names, ",")
}

func (v *profileKinds) Type() string { return "KIND[,KIND...]" }

func (v *profileKinds) choices() []string { return profile.KindNames() }

func (v *profileKinds) Set(s string) error {
	var list profileKinds
	for _, field := range strings.Split(s, ",") {
		k, err := profile.ParseKind(strings.TrimSpace(field))
		if err != nil {
			return &hinted{err, "write for example --profile cpu,heap"}
		}
		if !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	*v = list
	return nil
}

// pprofURL is the folder of net/http/pprof. Without a path it is the usual one.
type pprofURL struct{ url *url.URL }

func (v *pprofURL) String() string { return shownURL(v.url) }
func (v *pprofURL) Type() string   { return "URL" }
func (v *pprofURL) Set(s string) error {
	u, err := urlOf(s, "http", "https")
	if err != nil {
		return &hinted{err, "write for example http://127.0.0.1:6060/debug/pprof"}
	}
	if u.Path = strings.TrimRight(u.Path, "/"); u.Path == "" {
		u.Path = "/debug/pprof"
	}
	v.url = u
	return nil
}

// inspectURL is an inspector of Node: the socket itself, or where it is listed.
type inspectURL struct{ url *url.URL }

func (v *inspectURL) String() string { return shownURL(v.url) }
func (v *inspectURL) Type() string   { return "URL" }
func (v *inspectURL) Set(s string) error {
	u, err := urlOf(s, "ws", "wss", "http", "https")
	if err != nil {
		return &hinted{err, "write what node --inspect prints, such as ws://127.0.0.1:9229/0f2c936f-…, or http://127.0.0.1:9229"}
	}
	v.url = u
	return nil
}

func shownURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	return target.Redacted(u.String())
}

func urlOf(s string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case !slices.Contains(schemes, u.Scheme):
		return nil, fmt.Errorf("the scheme is not one of %s", strings.Join(schemes, ", "))
	case u.Hostname() == "":
		return nil, errors.New("it names no host")
	}
	return u, nil
}
