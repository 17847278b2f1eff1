// Package stream holds EventSource subscriptions: real connections to a server,
// from the dial to the last event.
//
// An [Engine] holds a shard of subscriptions, numbered from 0, and tells a
// [Handler] what happens to them. All Handler calls of one Engine are made one
// at a time, so that a Handler needs no lock: an Engine and its Handler are one
// sequential process. Run several Engines to use several cores.
//
// The protocol is the same in every engine that is built on this package's
// machine: package http1 takes the response apart, package sse the event stream
// in its body. What differs is only who reads the socket:
//
//   - epoll: one goroutine, one buffer and one epoll descriptor for a whole
//     shard. Linux, plain HTTP. A subscription costs about a quarter of a KiB.
//   - conn: a goroutine per subscription, and a buffer only with TLS; everywhere.
//     A subscription costs about 3.3 KiB, with TLS 13 KiB. Over HTTP/2, by package
//     http2, subscriptions are streams on connections that several may share: one
//     costs about 0.4 KiB where 100 share a connection.
//   - nethttp: package net/http, a peer to measure against, and for HTTP/3 the
//     client of github.com/quic-go/quic-go.
//   - r3labs: the client of github.com/r3labs/sse/v2, with its own parsing and
//     its deviations from the specification, for those whose service uses it.
//
// Sends are the same in each: requests of this package's own over keep-alive
// connections of its own, so that the engines differ in nothing but how they
// receive. Over HTTP/2 they are streams on connections of their own, once the server
// has said how many of them it takes. A request is never sent twice: whether a server that closed the
// connection under it has taken the message cannot be known.
//
// A server is reached by the ways that package target knows: an address, a Unix socket,
// or a proxy. Engine epoll writes requests to an HTTP proxy in absolute form; tunnels,
// by CONNECT or SOCKS5, are for the others. A Unix socket gives no receive times, and
// its listener makes clients wait by EAGAIN when its queue is full, which counts
// against the time to open.
//
// Subscriptions may be slow readers ([Config]): what they leave unread fills their
// small receive buffer and then the server's, as with a client on a bad line.
//
// Byte slices given to a Handler are valid during the call only. A Handler must
// not block: it holds up the whole shard.
package stream
