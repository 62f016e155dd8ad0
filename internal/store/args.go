package store

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"countersign/internal/failure"
)

// checkArgs refuses arguments that the engines would understand differently:
// text that is not UTF-8 or holds a zero byte, which PostgreSQL cannot keep, and
// types that have no column. What a stranger typed is Invalid, not a breakdown.
func checkArgs(args []any) error {
	for i, a := range args {
		switch a := a.(type) {
		case string:
			if err := checkText(a); err != nil {
				return err
			}
		case *string:
			if a != nil {
				if err := checkText(*a); err != nil {
					return err
				}
			}
		case bool, time.Time, time.Duration, float32, float64, uint64:
			return fmt.Errorf("store: argument %d is a %T; columns hold integers, text and bytes: pass 0 or 1 for a bool, and Unix(t) for a time", i+1, a)
		}
	}
	return nil
}

func checkText(s string) error {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return failure.New(failure.Invalid, "The text is not valid UTF-8.")
	}
	return nil
}
