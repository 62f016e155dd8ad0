package signin

import "context"

// AwaitApproval waits until what a Step waits for elsewhere was answered, or the context is
// over; it returns at once where nothing is waited for. [Engine.Look] says what came of
// it.
func (e *Engine) AwaitApproval(ctx context.Context, ticket string) error {
	at, err := e.attempts.read(ctx, e.db, ticket)
	if err != nil || at.Approval == 0 {
		return err
	}
	c, forget := e.settlements.Listen(at.Approval)
	defer forget()
	request, err := e.elsewhere.request(ctx, at) // perhaps answered just before
	if err != nil || request == nil || !request.Unanswered() {
		return err
	}
	select {
	case <-c:
	case <-ctx.Done():
	}
	return nil
}
