package drill

import "sync"

// AtOnce tries something so many times at once, and counts what got through. An error is the
// first that there was.
func AtOnce(times int, try func(i int) (bool, error)) (through int, _ error) {
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	for i := range times {
		all.Go(func() {
			in, err := try(i)
			mu.Lock()
			defer mu.Unlock()
			if in {
				through++
			}
			if failed == nil {
				failed = err
			}
		})
	}
	all.Wait()
	return through, failed
}
