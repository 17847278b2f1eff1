//go:build !linux

package main

import "errors"

func (p *plan) run() (report, error) {
	return report{}, errors.New("floor needs Linux, for epoll")
}
