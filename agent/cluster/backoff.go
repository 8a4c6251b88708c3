package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// How long to wait before the API server is asked again. All waits are random within their bounds, for the agents of thousands of nodes
// lose their watches at the same moment.
const (
	cutWait     = 5 * time.Second  // at most, after a watch that was cut: another server may be there at once
	firstWait   = time.Second      // at most, after the first failure; then twice as long each time, and half of it at least
	longestWait = 30 * time.Second // at most, however often it has failed
	toldWait    = 10 * time.Minute // at most, where the API server itself says when (Retry-After)
)

// delay is how long to wait after once has ended with an error.
func (f *feed) delay(err error) time.Duration {
	if err == nil || errors.Is(err, errAgain) {
		return 0
	}
	first := f.failures == 0 && f.flaps <= 1
	f.failures++
	switch {
	case first && errors.Is(err, errCut):
		return time.Duration(f.chance() * float64(cutWait))
	case first && expired(err):
		return 0
	}
	return max(backoff(f.failures+f.flaps, f.chance()), told(err, f.chance()))
}

// backoff is how long to wait after so many failures in a row.
func backoff(failures int, chance float64) time.Duration {
	most := firstWait
	for i := 1; i < failures && most < longestWait; i++ {
		most *= 2
	}
	most = min(most, longestWait)
	return most/2 + time.Duration(chance*float64(most/2))
}

// told is how long to wait by the API server's own word, and up to a quarter more, so that not all come at that very moment.
func told(err error, chance float64) time.Duration {
	seconds, ok := apierrors.SuggestsClientDelay(err)
	if !ok {
		return 0
	}
	least := min(time.Duration(seconds)*time.Second, toldWait)
	return least + time.Duration(chance*float64(least/4))
}

// definite says that what was known may be no more: the API server says so, by 404 or 410 for instance, or what it says makes no sense.
func definite(err error) bool {
	var status apierrors.APIStatus
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	return errors.As(err, &status) && !transient(err) || errors.As(err, &syntax) || errors.As(err, &mismatch)
}

// expired says that a watch must begin with a list again, as each does now and then.
func expired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }

// transient says that an answer is about the API server's own state, and not about what it was asked for.
func transient(err error) bool {
	return apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsInternalError(err)
}

// wait ends after a time, or with the context.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
