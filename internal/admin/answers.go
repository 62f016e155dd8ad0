package admin

import (
	"countersign/internal/application"
	"countersign/internal/attack"
	"countersign/internal/enrollment"
	"countersign/internal/policy"
)

// answers are an empty value of what each command answers, for the document of
// the API.
var answers = map[string]any{
	"overview.show":  Overview{},
	"account.create": Account{}, "account.list": AccountPage{}, "account.show": AccountDetail{}, "account.suspend": Account{}, "account.resume": Account{}, "account.clear-risk": Account{}, "account.open": Account{}, "account.remove": map[string]string{},
	"pass.issue": Pass{}, "recovery.list": []Recovery{}, "recovery.open": Recovery{}, "recovery.confirm": Recovery{}, "recovery.stop": map[string]string{}, "key.issue": Key{},
	"session.end": map[string]int{}, "authenticator.revoke": map[string]string{},
	"prompts.show": Prompts{}, "quiet.clear": map[string]string{}, "certificate.assign": enrollment.Authenticator{},
	"offline.list": []OfflineCodes{}, "offline.issue": OfflineHanded{}, "offline.reconcile": []OfflineFound{}, "offline.revoke": map[string]string{},
	"token.list": TokenPage{}, "token.stage": TokenStaged{}, "token.preview": TokenPreviewed{}, "token.import": TokenImported{},
	"token.assign": Token{}, "token.resync": Token{}, "token.lost": Token{}, "token.return": Token{}, "token.revoke": Token{}, "token.pin": TokenPINGiven{},
	"group.list": []Group{}, "group.show": Group{}, "group.create": Group{}, "group.remove": map[string]string{}, "group.member.add": map[string]string{}, "group.member.remove": map[string]string{},
	"application.list": []application.Application{}, "application.show": application.Application{}, "application.set": map[string]string{}, "application.remove": map[string]string{},
	"policy.show": PolicyDocument{}, "policy.check": []policy.TestResult{}, "policy.change": map[string]int64{},
	"policy.test": []policy.TestResult{}, "policy.explain": PolicyExplanation{}, "policy.diff": PolicyDifference{}, "policy.versions": []PolicyVersion{},
	"coverage.show": attack.Data{}, "coverage.declare": Declared{}, "coverage.withdraw": map[string]string{}, "drill.record": Recorded{},
	"audit.search": AuditPage{}, "audit.checkpoint": map[string]string{}, "audit.alarms": Alarms{}, "audit.seen": map[string]int{},
}

// Answer returns an empty value of what a command answers; nil when the command
// is not known.
func Answer(action string) any { return answers[action] }
