// Package urlerror has the errors of net/http without the address that they were asked for.
package urlerror

import (
	"errors"
	"net/url"
)

// Without returns err without the address that net/http puts around it: its path or query may be a password. Other errors are
// returned as they are.
func Without(err error) error {
	var inside *url.Error
	if errors.As(err, &inside) {
		return inside.Err
	}
	return err
}
