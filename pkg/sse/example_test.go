package sse_test

import (
	"fmt"
	"time"

	"github.com/sseload/sseload/pkg/sse"
)

type printer struct{}

func (printer) Event(e sse.Event) {
	fmt.Printf("%s %q, last event ID %q\n", e.Type, sse.ToValid(e.Data), e.ID)
}

func (printer) Comment(text []byte) { fmt.Printf("comment %q\n", text) }

func (printer) Retry(d time.Duration) { fmt.Println("retry in", d) }

func ExampleDecoder() {
	var d sse.Decoder
	for _, read := range []string{
		"retry: 3000\n: welcome\nid: 1\nda",
		"ta: hello\r",
		"\n\r\nevent: add\ndata: two\ndata: lines\n\n",
		"data: the stream ends before the blank line",
	} {
		if err := d.Write([]byte(read), printer{}); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// retry in 3s
	// comment " welcome"
	// message "hello", last event ID "1"
	// add "two\nlines", last event ID "1"
}
