package profile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

// files writes what was taken into a directory.
type files struct {
	dir  string
	used map[string]bool // names without their endings
}

type written struct {
	file, flame string
	cut         bool // the flame graph data is not whole
}

// write replaces files of former runs, but not of former phases of this one: a
// phase that comes again is numbered.
func (f *files) write(stem, phase string, c capture) (written, error) {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return written{}, fmt.Errorf("directory for profiles: %w", err)
	}
	name := f.name(stem, phase, c.kind)
	w := written{file: name + ".pb.gz", flame: name + ".folded"}
	put := c.data.Write
	if c.raw != nil {
		w.file = name + c.ending
		put = func(out io.Writer) error {
			_, err := out.Write(c.raw)
			return err
		}
	} else {
		c.data.DefaultSampleType = c.kind.shape().value
	}
	if err := f.replace(w.file, put); err != nil {
		return written{}, err
	}
	err := f.replace(w.flame, func(out io.Writer) (err error) {
		w.cut, err = fold(out, c.data, c.kind.shape(), maxAnswer)
		return err
	})
	return w, err
}

func (f *files) name(stem, phase string, kind Kind) string {
	name := fmt.Sprintf("%s-%s-%s", fileName(stem), fileName(phase), kind)
	for i := 2; f.used[name]; i++ {
		name = fmt.Sprintf("%s-%s-%d-%s", fileName(stem), fileName(phase), i, kind)
	}
	if f.used == nil {
		f.used = map[string]bool{}
	}
	f.used[name] = true
	return name
}

// fileName makes one part of a path of it, on any system.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, s)
}

// replace writes a file under another name first, so that whoever reads it finds
// all of it or what was there before.
func (f *files) replace(name string, put func(io.Writer) error) (err error) {
	path := filepath.Join(f.dir, name)
	part := path + ".part"
	file, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	buffered := bufio.NewWriter(file)
	err = errors.Join(put(buffered), buffered.Flush(), file.Close())
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(part)))
	}
	return nil
}

// fold writes collapsed stacks, one line each, sorted: root;…;leaf VALUE. It tells
// whether some were left out because there are more than so many bytes.
func fold(out io.Writer, p *profile.Profile, s shape, limit int) (cut bool, err error) {
	column, err := mainValue(p, s)
	if err != nil {
		return false, err
	}
	names := symbols{}
	lines := map[string]int64{}
	size := 0
	for _, sample := range p.Sample {
		v := sample.Value[column]
		if v <= 0 {
			continue
		}
		stack, ok := foldStack(sample.Location, names, limit-size)
		if !ok {
			cut = true
			continue
		}
		if _, ok := lines[stack]; !ok {
			size += len(stack)
		}
		lines[stack] = sum(lines[stack], v)
	}
	stacks := make([]string, 0, len(lines))
	for stack := range lines {
		stacks = append(stacks, stack)
	}
	slices.Sort(stacks)
	for _, stack := range stacks {
		if _, err := io.WriteString(out, stack+" "+strconv.FormatInt(lines[stack], 10)+"\n"); err != nil {
			return cut, err
		}
	}
	return cut, nil
}

// foldStack joins the names from the root to the leaf, unless that takes more room
// than there is.
func foldStack(locations []*profile.Location, names symbols, room int) (stack string, ok bool) {
	var b strings.Builder
	for _, location := range slices.Backward(locations) {
		for _, name := range slices.Backward(names.of(location)) {
			if b.Len() > 0 {
				b.WriteByte(';')
			}
			b.WriteString(strings.ReplaceAll(name, ";", ":"))
			if b.Len() > room {
				return "", false
			}
		}
	}
	if b.Len() == 0 {
		return "[unknown]", true
	}
	return b.String(), true
}
