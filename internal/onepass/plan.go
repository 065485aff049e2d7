package onepass

// A group is a set of schemas that judge the same value. There is one for each
// set that can come up, so that the machine never builds one.
type group struct {
	roots []root
	plans [kinds]*plan // by the kind of the value; nil where all roots allow it
	plain [kinds]reach // what needs no more than a look
}

// A root is a schema that somebody outside of the value asks about.
type root struct {
	node  *node
	fatal bool // a value that it does not allow ends the pass
}

// A plan is how a group judges a value of one kind: the schemas of its roots
// with all that these apply to the same value, each once, in a slot. A slot
// comes after those that it depends on.
type plan struct {
	reject string // the keyword that refuses the kind as a whole, or empty
	roots  []int  // the slots of the roots, or always or never
	ops    []op   // what is asked of a scalar, or at the end of an array or object
	joins  []join // how slots depend on others, in their order
	steps  int    // a bound on the work that a value causes by itself

	low, high int64 // a number or length between these is allowed by all ops,
	plain     bool  // ... if it is plain

	failed int // words of the set of slots that failed; 0 if each one is fatal
	words  int // words of a frame: failed, seen, taken, pending, counters

	// For arrays and objects.
	most       int     // more items or members than this are looked at by excess
	excess     []op    // maxItems and maxProperties
	hashes     bool    // ops compare the value with constants
	unique     []place // slots that ask for different items
	prefix     []entry // the first items, each with its entry
	rest       entry   // the items after them
	names      *names  // members by name
	shorts     *names  // the same, if nothing is asked of the names themselves
	others     []entry // members without an entry of their own, by the patterns that match
	patterns   []*pattern
	keys       entry // judges the names themselves; no group, if nothing does
	seen       int   // where in a frame the words begin that hold which named members came
	taken      int   // ... which names, without regard to case, came
	pending    int   // ... which sets of evaluators are to be found
	pendings   int   // how many
	counters   int   // ... matches of contains, a word each
	containers int   // how many
	applies    [][]apply
}

// Verdicts that need no slot.
const (
	always = -1
	never  = -2
)

// A place is a slot with what is said if it fails.
type place struct {
	slot    int
	fatal   bool
	keyword string
}

// An op is one question of one slot.
type op struct {
	place
	code    opcode
	isInt   bool  // n is the number of a numeric op
	n       int64 // length, count, or bound
	bit     int   // of the name that a dependency is about
	number  *decimal
	values  *values
	pattern *pattern
	test    StringTest
	need    []uint64 // names
}

type opcode uint8

const (
	opNever opcode = iota
	opMinLength
	opMaxLength
	opPattern
	opTest
	opStrings
	opInteger
	opMinimum
	opExclusiveMinimum
	opMaximum
	opExclusiveMaximum
	opMultipleOf
	opNumbers
	opMinCount
	opMaxCount
	opComposites
	opRequired
	opDependency
	opMinContains
)

// A join decides a slot by others over the same value.
type join struct {
	place
	code     joincode
	subs     []int // slots, which are not always or never, but for joinIf
	n        int   // joinOne: how many more schemas allow the value; joinIfSeen: the name
	evaluate *evaluation
}

type joincode uint8

const (
	joinAll joincode = iota
	joinAny
	joinOne
	joinNot
	joinIf     // if, then, else
	joinIfSeen // dependentSchemas
	joinEvaluated
)

// An apply says that a slot applies another one to the value, so that what the
// other one evaluates counts as evaluated, if it allows the value.
type apply struct {
	slot int
	when applied
	n    int // the slot of the if, or the name
}

type applied uint8

const (
	anyway applied = iota
	ifAllowed
	ifRefused
	ifSeen
)

// An evaluation is one of unevaluatedProperties and unevaluatedItems: sets of
// slots, one of which must have evaluated what was refused otherwise.
type evaluation struct {
	slot int
	ask  ask // of a child that nobody has evaluated
	sets []evaluators
}

type evaluators struct {
	bit   int // that is set in a frame when a child needs one of them
	slots []int
}

// An entry is what the machine needs for an item or a member: who judges it,
// and whom the verdicts are for.
type entry struct {
	group *group
	links []link
	fails []place       // slots that allow no child here
	pends []int         // bits of evaluators that are asked for at once
	asks  bool          // there are fails or pends
	reach *[kinds]reach // nil if the verdicts are for somebody

	name     string
	short    uint64 // the shortHash of the name
	bit      int    // of a named member; -1 for others
	fold     int    // the bit of its name without regard to case
	hash     uint64
	declared bool // by properties, so that a path may tell the name
}

// A link carries the verdict of a root of the child to a slot around it.
type link struct {
	root int // index in the group
	code linkcode
	to   place
	n    int // counter, or bit of evaluators
	max  int // of contains, or -1

	contains []int // roots whose verdicts, as a number in base two,
	choices  []int // tell which bit it is, or -1 for none
}

type linkcode uint8

const (
	linkMust    linkcode = iota // the slot fails with the root
	linkCount                   // contains counts what the root allows
	linkPending                 // what the root refuses must have been evaluated
)
