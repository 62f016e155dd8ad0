package authenticator_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/prompt"
)

// letter is an authenticator: a letter with one-time codes, of which any that was not used
// yet is right (look-up secrets, SP 800-63B-4 section 3.1.2). A real one is a package in a
// folder under internal/authenticator, and a line in internal/server/kinds.go.
type letter struct{}

// letterState is what the engine stores for it, sealed: the hashes of the codes that are
// left. A code has 130 bits, so that a fast hash is enough.
type letterState struct{ Left []string }

// newLetter returns the codes to print and what the engine stores.
func newLetter(count int) ([]string, authenticator.Enrolled) {
	var codes []string
	var s letterState
	for range count {
		code := rand.Text()
		codes, s.Left = append(codes, code), append(s.Left, hashOf(code))
	}
	state, _ := json.Marshal(s)
	return codes, authenticator.Enrolled{State: state, Traits: assurance.Held}
}

func hashOf(code string) string {
	sum := sha256.Sum256([]byte(code))
	return hex.EncodeToString(sum[:])
}

func (letter) Describe() authenticator.Description {
	return authenticator.Description{Kind: "letter", Title: "Letter with codes", Noun: "letter with codes", Document: "authenticators.md", Mark: authenticator.MarkPaper, Traits: assurance.Held,
		Media: prompt.Line | prompt.Single | prompt.Browser, Guessable: true}
}

// Ask returns the same question for an account with a letter and for one without.
func (letter) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: "letter", Kind: prompt.Secret, Label: "A code of your letter that you have not used yet"}, nil, nil
}

// Check compares in constant time. It stores nothing: the engine keeps Next, and spends
// Once under a unique constraint, so that a code is good once on any server.
func (letter) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	typed := hashOf(answer.Text)
	for _, c := range credentials {
		var s letterState
		if err := json.Unmarshal(c.State, &s); err != nil {
			return authenticator.Result{}, fmt.Errorf("letter: state of credential %d: %w", c.ID, err)
		}
		found := -1
		for i, hash := range s.Left {
			if subtle.ConstantTimeCompare([]byte(hash), []byte(typed)) == 1 {
				found = i
			}
		}
		if found < 0 {
			continue
		}
		s.Left = slices.Delete(s.Left, found, found+1)
		next, err := json.Marshal(s)
		return authenticator.Result{OK: true, Credential: c.ID, Traits: assurance.Held, Next: next, Once: typed, Exhausted: len(s.Left) == 0}, err
	}
	return authenticator.Wrong("wrong"), nil
}

// AfterRollback gives up the letter after a backup was restored: nothing tells which codes were
// used since. The exam demands it of every kind whose answers could be given again.
func (letter) AfterRollback([]byte, time.Time) (next []byte, usable bool, err error) {
	return nil, false, nil
}

// Another kind of authenticator has three methods. It asks a question, checks the answer
// against the stored state, and returns the next state.
func ExampleAuthenticator() {
	codes, enrolled := newLetter(3)
	stored := []authenticator.Credential{{ID: 7, Account: 1, Kind: "letter", State: enrolled.State}}

	question, memo, _ := letter{}.Ask(stored, time.Now())
	fmt.Println(question.Label)

	answer := prompt.Answer{Authenticator: "letter", Text: codes[1]}
	result, _ := letter{}.Check(context.Background(), stored, memo, answer, time.Now())
	fmt.Println("right:", result.OK, "traits:", result.Traits)

	stored[0].State = result.Next // as the engine does
	result, _ = letter{}.Check(context.Background(), stored, memo, answer, time.Now())
	fmt.Println("once more:", result.OK, result.Reason)
	// Output:
	// A code of your letter that you have not used yet
	// right: true traits: held
	// once more: false wrong
}

// Every kind sits the exam: this is the whole of the test that a new one begins with.
func TestTheExampleSitsTheExam(t *testing.T) {
	const count = 100
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(testing.TB) authenticator.Authenticator { return letter{} },
		Enroll: func(testing.TB, authenticator.Authenticator, authenticator.Person, time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			codes, enrolled := newLetter(count)
			next := 0
			return enrolled, func(testing.TB, prompt.Prompt, time.Time) prompt.Answer {
				next++
				return prompt.Answer{Authenticator: "letter", Text: codes[(next-1)%count]}
			}
		},
		Uses: count,
	})
}
