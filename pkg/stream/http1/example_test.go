package http1_test

import (
	"fmt"

	"github.com/sseload/sseload/pkg/stream/http1"
)

type printer struct{}

func (printer) Head(h *http1.Head) error {
	fmt.Printf("%d %s\n", h.Status, h.ContentType)
	return nil
}

func (printer) Body(p []byte) error {
	fmt.Printf("%q\n", p)
	return nil
}

func ExampleResponse() {
	var r http1.Response
	for _, read := range []string{
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Enco",
		"ding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\nda",
		"ta: 2\n\n\r\n",
	} {
		if _, err := r.Write([]byte(read), printer{}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(r.End())
	// Output:
	// 200 text/event-stream
	// "data: 1\n\n"
	// "da"
	// "ta: 2\n\n"
	// connection closed early: between chunks, before the last one
}
