//go:build !linux

package stream

import "errors"

const epollAvailable = false

func newEpoll(Config) (Engine, error) { return nil, errors.New("engine epoll needs Linux") }
