package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// message is the body of a callback: of one kind, with the field of that name.
type message struct {
	Kind    string  `json:"kind"`
	Event   *event  `json:"event,omitempty"`
	Comment *string `json:"comment,omitempty"`
	Error   string  `json:"error,omitempty"`
}

type event struct {
	Type string `json:"type"`
	Data string `json:"data"`
	ID   string `json:"id"`
}

// callbacks tells the harness what happened to one stream: one message after the
// other, in order and numbered from 1, so that none overtakes another. What is told
// waits here, however much: a stream may be faster than the harness.
type callbacks struct {
	url    string
	client *http.Client
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}
	news   chan struct{} // holds a token when something waits

	mu      sync.Mutex
	waiting []message
}

func newCallbacks(ctx context.Context, url string, client *http.Client, log *slog.Logger) *callbacks {
	ctx, cancel := context.WithCancel(ctx)
	c := &callbacks{
		url: strings.TrimSuffix(url, "/"), client: client, log: log, cancel: cancel,
		done: make(chan struct{}), news: make(chan struct{}, 1),
	}
	go func() {
		defer close(c.done)
		c.deliver(ctx)
	}()
	return c
}

// tell never blocks.
func (c *callbacks) tell(m message) {
	c.mu.Lock()
	c.waiting = append(c.waiting, m)
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// close drops what waits: whoever closes a stream has seen enough of it.
func (c *callbacks) close() {
	c.cancel()
	<-c.done
}

func (c *callbacks) deliver(ctx context.Context) {
	for number := 1; ; {
		select {
		case <-ctx.Done():
			return
		case <-c.news:
		}
		c.mu.Lock()
		waiting := c.waiting
		c.waiting = nil
		c.mu.Unlock()
		for _, m := range waiting {
			if err := c.post(ctx, number, m); err != nil && ctx.Err() == nil {
				c.log.Warn("callback lost", "number", number, "kind", m.Kind, "error", err)
			}
			number++
		}
	}
}

const (
	attempts   = 3
	retryAfter = 100 * time.Millisecond
)

// post delivers m under its number, which a further attempt keeps.
func (c *callbacks) post(ctx context.Context, number int, m message) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := c.postOnce(ctx, fmt.Sprintf("%s/%d", c.url, number), body.Bytes())
		if err == nil || attempt == attempts {
			return err
		}
		timer := time.NewTimer(retryAfter)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func (c *callbacks) postOnce(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("the harness answered %d", resp.StatusCode)
	}
	return err
}
