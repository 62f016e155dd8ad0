package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Limits of one condition. A condition has no loops, so that its cost is linear
// in its size and in the length of the texts it reads; costLimit bounds those.
const (
	maxNodes     = 500
	maxRecursion = 40
	costLimit    = 100_000
)

var (
	addressType = cel.OpaqueType("address")
	networkType = cel.OpaqueType("network")
	groupsType  = cel.OpaqueType("groups")
)

var celTypes = [...]*cel.Type{
	text: cel.StringType, yesNo: cel.BoolType, number: cel.IntType, moment: cel.TimestampType,
	address: addressType, groupSet: groupsType,
}

// newEnvironment declares the facts and this document's networks, each by its
// whole name and with its type, and the few functions of a condition.
func newEnvironment(networks map[string]*network) (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{DisableMacros: true, IncludeFunctions: functions()})),
		cel.Function(operators.In,
			cel.Overload(overloads.InList, []*cel.Type{cel.TypeParamType("A"), cel.ListType(cel.TypeParamType("A"))}, cel.BoolType, cel.BinaryBinding(inList)),
			cel.Overload("in_network", []*cel.Type{addressType, networkType}, cel.BoolType, cel.BinaryBinding(inNetwork)),
			cel.Overload("in_groups", []*cel.Type{cel.StringType, groupsType}, cel.BoolType, cel.BinaryBinding(inGroups)),
		),
		cel.ParserRecursionLimit(maxRecursion),
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ExpressionNodeLimit(maxNodes),
	}
	for f := range factCount {
		options = append(options, cel.Variable(f.String(), celTypes[factTable[f].sort]))
	}
	for name, n := range networks {
		options = append(options, cel.Constant("networks."+name, networkType, networkVal{n}))
	}
	return cel.NewCustomEnv(options...)
}

// callable are the functions of CEL's standard library that a condition may use.
var callable = []string{
	operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Equals, operators.NotEquals,
	operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
	overloads.StartsWith, overloads.EndsWith, overloads.Contains, overloads.Matches, overloads.TypeConvertTimestamp,
}

func functions() []*env.Function {
	out := make([]*env.Function, len(callable))
	for i, name := range callable {
		out[i] = env.NewFunction(name)
	}
	return out
}

func inList(value, list ref.Val) ref.Val {
	l, ok := list.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(list)
	}
	return l.Contains(value)
}

func inNetwork(a, n ref.Val) ref.Val {
	addr, ok := a.(addressVal)
	net, ok2 := n.(networkVal)
	if !ok || !ok2 {
		return types.NewErr("not an address and a network")
	}
	return types.Bool(net.network.contains(addr.Addr))
}

func inGroups(name, groups ref.Val) ref.Val {
	s, ok := name.(types.String)
	g, ok2 := groups.(groupsVal)
	if !ok || !ok2 {
		return types.NewErr("not a name and groups")
	}
	return types.Bool(slices.Contains(g.names, string(s)))
}

// addressVal, networkVal and groupsVal are the values of the three types that
// CEL does not have. They can be asked with in, and nothing else.
type (
	addressVal struct{ netip.Addr }
	networkVal struct{ network *network }
	groupsVal  struct{ names []string }
)

func (addressVal) Type() ref.Type { return addressType }
func (networkVal) Type() ref.Type { return networkType }
func (groupsVal) Type() ref.Type  { return groupsType }

func (v addressVal) Value() any { return v.Addr }
func (v networkVal) Value() any { return v.network }
func (v groupsVal) Value() any  { return v.names }

func (addressVal) Equal(ref.Val) ref.Val { return incomparable }
func (networkVal) Equal(ref.Val) ref.Val { return incomparable }
func (groupsVal) Equal(ref.Val) ref.Val  { return incomparable }

func (addressVal) ConvertToType(ref.Type) ref.Val { return incomparable }
func (networkVal) ConvertToType(ref.Type) ref.Val { return incomparable }
func (groupsVal) ConvertToType(ref.Type) ref.Val  { return incomparable }

func (addressVal) ConvertToNative(t reflect.Type) (any, error) { return nil, unconvertible(t) }
func (networkVal) ConvertToNative(t reflect.Type) (any, error) { return nil, unconvertible(t) }
func (groupsVal) ConvertToNative(t reflect.Type) (any, error)  { return nil, unconvertible(t) }

var incomparable = types.WrapErr(errors.New("addresses, networks and groups can only be used with in"))

func unconvertible(t reflect.Type) error { return fmt.Errorf("policy: no %v of an opaque value", t) }

// view is the facts of one request as CEL reads them. Values are made when
// first read and shared by the rules.
type view struct {
	facts  *Facts
	policy *Policy
	values [factCount]ref.Val
}

// ResolveName returns the fact of this name.
func (v *view) ResolveName(name string) (any, bool) {
	f, ok := factByName[name]
	if !ok {
		return nil, false
	}
	if v.values[f] == nil {
		v.values[f] = v.value(f)
	}
	return v.values[f], true
}

// Parent returns nil: there is nothing but facts.
func (v *view) Parent() cel.Activation { return nil }

func (v *view) value(f fact) ref.Val {
	switch factTable[f].sort {
	case yesNo:
		return types.Bool(v.facts.flagOf(f))
	case address:
		return addressVal{v.facts.Source}
	case groupSet:
		return groupsVal{v.facts.Account.Groups}
	case number:
		return types.Int(v.facts.Now.In(v.policy.zone).Hour())
	case moment:
		return types.Timestamp{Time: v.facts.Now}
	}
	return types.String(v.facts.textOf(f, v.policy.zone))
}
