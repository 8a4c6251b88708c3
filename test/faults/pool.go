package faults

import (
	"os"
	"sync"
)

// Workers is how many runs go on side by side: as many as small machines have processors.
const Workers = 2

// each does something for every number below n, in several workers, and returns what is wrong. Each worker has a folder of its own
// below scratch, which is to be empty after each.
func each(n int, scratch string, do func(i int, folder string) []string) ([]string, error) {
	next, found := make(chan int), make(chan []string, n)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer close(next)
	for range Workers {
		folder, err := os.MkdirTemp(scratch, "work-")
		if err != nil {
			return nil, err
		}
		workers.Go(func() {
			for i := range next {
				found <- do(i, folder)
			}
		})
	}
	for i := range n {
		next <- i
	}
	var wrong []string
	for range n {
		wrong = append(wrong, <-found...)
	}
	return wrong, nil
}
