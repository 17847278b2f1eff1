// Package target says how to reach a server: which request subscribes a client,
// which request sends a message, and at which address the server is found.
//
// A [Target] holds an [Endpoint] for each kind of request. What differs between
// clients and messages is written as a template, {room} and the like, compiled
// once and expanded into the caller's buffer, so that building a request
// allocates nothing. [Target.Resolve] looks the hosts up and finds out that
// something listens there, once, before any load.
//
// A [Way] is how connections to an origin are made: to an address, to a Unix socket
// whatever the origin, or to a proxy. Redirects lead to other origins, so that an
// Endpoint tells the way to any ([Endpoint.Way]).
//
// Everything here is safe for concurrent use once resolved.
package target
