package agent

import (
	"time"
)

// A failed try is followed by another after firstPause, and after twice as long each time, up to lastPause.
const (
	firstPause = 10 * time.Second
	lastPause  = 10 * time.Minute
)

// backoff knows what failed, and when it may be tried again: when the wish behind it changes, or after a pause. Times are those of a
// clock that nobody can set. It lives in memory only: after a restart everything is tried once more, which harms nobody, since a
// failed try is taken back. The zero value knows of no failure.
type backoff struct{ failures map[string]failure }

// failure is the last one of its key.
type failure struct {
	wish  string // what was tried
	err   error
	count int // in a row, of that wish
	until time.Duration
}

// failed notes that the wish could not be fulfilled. The chance, from 0 to 1, spreads the pause between half of it and all, so that a
// thousand machines with one trouble do not move in step.
func (b *backoff) failed(key, wish string, err error, now time.Duration, chance float64) {
	f := b.failures[key]
	if f.wish != wish {
		f = failure{wish: wish}
	}
	pause := lastPause
	if f.count < 10 {
		pause = min(lastPause, firstPause<<f.count)
	}
	f.count, f.err = f.count+1, err
	f.until = now + pause/2 + time.Duration(chance*float64(pause/2))
	if b.failures == nil {
		b.failures = map[string]failure{}
	}
	b.failures[key] = f
}

// waits returns why the wish failed as long as it is not to be tried again; else nil. A failure of another wish is forgotten.
func (b *backoff) waits(key, wish string, now time.Duration) error {
	f := b.failures[key]
	if f.wish != wish {
		delete(b.failures, key)
		return nil
	}
	if now < f.until {
		return f.err
	}
	return nil
}

// succeeded forgets a failure.
func (b *backoff) succeeded(key string) { delete(b.failures, key) }

// next is the first time after now at which something may be tried again; 0 for never.
func (b *backoff) next(now time.Duration) time.Duration {
	var first time.Duration
	for _, f := range b.failures {
		first = earlier(first, f.until, now)
	}
	return first
}

// earlier is the earlier of two times, of which those that are not after now do not count; 0 for none.
func earlier(a, b, now time.Duration) time.Duration {
	if b <= now || a > now && a < b {
		return a
	}
	return b
}
