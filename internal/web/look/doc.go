// Package look is how every page of Countersign looks and leaves the house.
//
// It owns the layout, the style sheet, the one script, the response headers, the
// cookies' names and attributes, the protection of forms against other sites,
// and the one place where an error becomes a page. It does not decide who may
// see anything and knows no account: rooms hand in pages and routes. Its
// neighbours are web/challenge, web/portal and web/console, which it knows
// nothing of. Its one invariant: whatever a route does, the response bears the
// strict headers, and a request that changes anything came from our own form in
// the same browser.
package look
