package admin

import (
	"countersign/internal/attack"
	"countersign/internal/policy"
)

// Here lists the commands that are done in this room itself.
func Here() []Spec {
	return []Spec{
		Looks[OverviewShow]("Count accounts that need attention, and say how far the audit log is signed.", Overview{}),
		Changes[AccountCreate]("Create an account. It has no authenticator and no access until somebody else issues a pass.", Account{}).
			Telling("account.created", "{by} made the account {who}"),
		Looks[AccountList]("List accounts by name.", AccountPage{}),
		Looks[AccountShow]("Show one account with its authenticators and sessions.", AccountDetail{}),
		Changes[AccountSuspend]("Suspend an account: it gets nothing and its sessions end.", Account{}).
			Telling("account.suspended", "{by} suspended {who}: {detail.reason}"),
		Changes[AccountClearRisk]("Say that an account is at risk no more, whose owner reported a sign-in.", Account{}).
			Telling("account.risk-cleared", "{by} said that {who} is at risk no more: {detail.reason}"),
		Changes[AccountOpen]("Forget wrong answers, so that authenticators that were closed by them are open again.", Account{}).
			Telling("account.opened", "{by} forgot the wrong answers for {who}: {detail.reason}"),
		Changes[AccountResume]("Resume a suspended or dormant account.", Account{}).
			Telling("account.resumed", "{by} resumed {who}: {detail.reason}"),
		Changes[AccountRemove]("Remove an account for good; what the log says of it stays.", map[string]string{}).
			Telling("account.removed", "{by} removed the account {who} for good"),
		Changes[PassIssue]("Issue a temporary access pass to somebody else.", Pass{}).
			Telling("pass.issued", "{by} issued a temporary access pass to {who}: {detail.note}"),
		Changes[SessionEnd]("End one or all sessions of an account.", map[string]int{}),
		Changes[AuthenticatorRevoke]("Revoke somebody's authenticator, or an automation key.", map[string]string{}).
			Telling("credential.revoked", "{by} revoked an authenticator of {who}: {detail.reason}"),
		Looks[TokenList]("List hardware tokens by serial number.", TokenPage{}),
		Looks[TokenStage]("Send a part of a token file; it changes nothing before token.import.", TokenStaged{}),
		Looks[TokenPreview]("Say what importing the sent token file would do.", TokenPreviewed{}),
		Changes[TokenImport]("Put the tokens of a sent file into stock: all of them, or none.", TokenImported{}).
			Telling("token.imported", "{by} imported {detail.count} tokens"),
		Changes[TokenAssign]("Make a token from stock an authenticator of somebody else's.", Token{}).
			Telling("token.assigned", "{by} assigned token {detail.serial} to {who}: {detail.note}"),
		Changes[TokenResync]("Put a token right by two of its codes in a row.", Token{}).
			Telling("token.resynchronised", "{by} put token {detail.serial} right by two codes"),
		Changes[TokenPIN]("Give somebody's token a new first PIN, which its owner must change, or take the PIN away.", TokenPINGiven{}).
			Telling("token.pin-given", "{by} gave token {detail.serial} of {who} a new first PIN").
			Telling("token.pin-cleared", "{by} took away the PIN of token {detail.serial} of {who}"),
		Changes[TokenLost]("Switch off a token that its owner cannot find.", Token{}).
			Telling("token.lost", "{by} switched off token {detail.serial}, which is lost: {detail.reason}"),
		Changes[TokenReturn]("Take a token back from its owner.", Token{}).
			Telling("token.returned", "{by} took token {detail.serial} back: {detail.reason}"),
		Changes[TokenRevoke]("End a token for good.", Token{}).
			Telling("token.revoked", "{by} ended token {detail.serial} for good: {detail.reason}"),
		Looks[PolicyShow]("Show the policy in force, or an older version of it.", PolicyDocument{}),
		Looks[PolicyCheck]("Check a policy document without saving it, and run its tests.", []policy.TestResult{}),
		Looks[PolicyTest]("Run the tests that the policy in force, or a document, holds.", []policy.TestResult{}),
		Looks[PolicyExplain]("Say what an account would have to show for something, why, and whether it could.", PolicyExplanation{}),
		Looks[PolicyDiff]("Say whom a document, or an older version, would let in, keep out, or ask for less or more.", PolicyDifference{}),
		Looks[PolicyVersions]("List the saved versions of the policy.", []PolicyVersion{}),
		Changes[PolicyChange]("Save a policy document and put it in force.", map[string]int64{}).
			Telling("policy.changed", "{by} changed the policy"),
		Looks[CoverageShow]("Show how far each row of ATT&CK's M1032 holds here, and what leaves a gap.", attack.Data{}),
		Changes[CoverageDeclare]("Declare that there is nothing here for a row to be about, until a day.", Declared{}).
			Telling("coverage.declared", "{by} declared row {detail.row} not here: {detail.reason}"),
		Changes[CoverageWithdraw]("Take such a declaration back.", map[string]string{}).
			Telling("coverage.withdrawn", "{by} withdrew the declaration of row {detail.row}"),
		Changes[DrillRecord]("Hand in the signed report of a drill.", Recorded{}).
			Telling("drill.recorded", "{by} handed in the report of a drill"),
	}
}
