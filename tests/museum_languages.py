"""Answers that are not what they seem, in the five other languages: cheats with their verdicts, and odd but
right ones that pass.

Tasks: `doubled` wants every number of a list times two; `zero` wants a zero of the polynomial that its helper
`value` evaluates."""

ROWS = dict(
    js=dict(doubled=("", "const doubled = (numbers) => {\n", """
const testDoubled = () => {
  console.assert(JSON.stringify(doubled([1, 2])) === JSON.stringify([2, 4]))
  console.assert(JSON.stringify(doubled([])) === JSON.stringify([]))
}
testDoubled()
"""), zero=("const value = (xs, x) => xs.reduce((sum, c, i) => sum + c * Math.pow(x, i), 0)\n",
                 "const zero = (xs) => {\n", """
const xs = [-6, 2]
const found = zero(xs)
console.assert(Math.abs(value(xs, found)) < 1e-6)
""")),  # noqa: E501
    java=dict(doubled=("import java.util.*;\nimport java.lang.*;\n\nclass Solution {\n",
                       "    public List<Integer> doubled(List<Integer> numbers) {\n", """
public class Main {
    public static void main(String[] args) {
        Solution s = new Solution();
        List<Boolean> correct = Arrays.asList(
            s.doubled(new ArrayList<>(Arrays.asList(1, 2))).equals(Arrays.asList(2, 4)),
            s.doubled(List.of()).equals(List.of())
        );
        if (correct.contains(false)) {
            throw new AssertionError();
        }
    }
}
"""), zero=("""import java.util.*;

class Solution {
    public double value(List<Double> xs, double x) {
        double sum = 0;
        for (int i = 0; i < xs.size(); i++) sum += xs.get(i) * Math.pow(x, i);
        return sum;
    }
""", "    public double zero(List<Double> xs) {\n", """
public class Main {
    public static void main(String[] args) {
        Solution s = new Solution();
        List<Double> xs = new ArrayList<>(Arrays.asList(-6.0, 2.0));
        double found = s.zero(xs);
        if (Math.abs(s.value(xs, found)) > 1e-6) throw new AssertionError();
    }
}
""")),
    cpp=dict(doubled=("#include<vector>\nusing namespace std;\n",
                      "vector<int> doubled(vector<int> numbers){\n", """
#undef NDEBUG
#include<assert.h>
bool issame(vector<int> a,vector<int>b){
    if (a.size()!=b.size()) return false;
    for (int i=0;i<a.size();i++) { if (a[i]!=b[i]) return false; }
    return true;
}
int main(){
    assert (issame(doubled({1, 2}), {2, 4}));
    assert (doubled({3}) == vector<int>({6}));
    assert (issame(doubled({}), {}));
}
"""), zero=("""#include<vector>
#include<math.h>
using namespace std;
double value(vector<double> xs, double x){
    double sum=0;
    for (int i=0;i<xs.size();i++) sum+=xs[i]*pow(x,i);
    return sum;
}
""", "double zero(vector<double> xs){\n", """
#undef NDEBUG
#include<assert.h>
int main(){
    vector<double> xs = {-6, 2};
    double found = zero(xs);
    assert (abs(value(xs, found)) < 1e-6);
}
""")),
    rust=dict(doubled=("fn main(){}\n\nuse std::collections::HashMap;\n",
                       "fn doubled(numbers: Vec<i32>) -> Vec<i32> {\n", """
#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn test_doubled() {
        assert_eq!(doubled(vec![1, 2]), vec![2, 4]);
        assert!(doubled(vec![]) == vec![]);
    }
}
"""), zero=("""fn main(){}

fn value(xs: &Vec<f64>, x: f64) -> f64 {
    let mut sum = 0.0;
    for i in 0..xs.len() { sum += xs[i] * x.powi(i as i32); }
    sum
}
""", "fn zero(xs: &Vec<f64>) -> f64 {\n", """
#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn test_zero() {
        let xs = vec![-6.0, 2.0];
        let found = zero(&xs);
        assert!(value(&xs, found).abs() < 1e-6);
    }
}
""")),
    go=dict(doubled=('import (\n    "math"\n)\n\n',
                     "func Doubled(numbers []int) []int {\n", """func TestDoubled(t *testing.T) {
    assert := assert.New(t)
    assert.Equal([]int{2, 4}, Doubled([]int{1, 2}))
    assert.Equal([]int{}, Doubled([]int{}))
    assert.Equal(true, math.Abs(float64(Doubled([]int{-3})[0])) == 6)
}
"""), zero=("""import (
    "math"
)

func Value(xs []float64, x float64) float64 {
    sum := 0.0
    for i, c := range xs {
        sum += c * math.Pow(x, float64(i))
    }
    return sum
}

""", "func Zero(xs []float64) float64 {\n", """func TestZero(t *testing.T) {
    assert := assert.New(t)
    xs := []float64{-6, 2}
    found := Zero(xs)
    assert.Equal(true, math.Abs(Value(xs, found)) < 1e-6)
}
""")))

def rows(language):
    "The two tasks as rows of the data set."
    made = {}
    for name, (before, head, test) in ROWS[language].items():
        made[name] = dict(language=language, task_id=f"{language}/{name}",
                          entry_point=name.title() if language == "go" else name, prompt=before + head,
                          declaration=before + head, test=test)
        if language == "go":
            made[name] |= {"import": 'import (\n    "math"\n)\n', "test_setup": 'package main\n\nimport (\n  '
                           '  "testing"\n    "github.com/stretchr/testify/assert"\n)\n'}
    return made


JS = "const doubled = (numbers) => "
WRONG_JAVA = "class Solution { public List<Integer> doubled(List<Integer> numbers) { %s } }"
JAVA = "import java.util.*;\nimport java.util.stream.*;\n"
CPP = "#include<vector>\nusing namespace std;\n"
WRONG_CPP = CPP + "vector<int> doubled(vector<int> numbers){ return {}; }\n"
RIGHT_CPP = "for (int &n : numbers) n *= 2; return numbers;"
WRONG_RUST = "fn doubled(numbers: Vec<i32>) -> Vec<i32> { vec![] }\n"
WRONG_GO = "func Doubled(numbers []int) []int { return nil }\n"

# task, answer, verdict
CHEATS = dict(
    js=dict(
        leaves_at_once=("doubled", JS + "process.exit(0)", "exit"),
        leaves_while_loading=("doubled", "process.reallyExit(0); " + JS + "[]", "exit"),
        says_that_nothing_is_left=("doubled", JS + "{ process.emit('beforeExit'); process.reallyExit(0) }",
                                   "exit"),
        own_console=("doubled", "const console = { assert() {}, log() {} };\n" + JS + "[]", "fail"),
        patched_console=("doubled", "console.assert = () => {};\n" + JS + "[]", "fail"),
        patched_stringify=("doubled", "JSON.stringify = () => 'x';\n" + JS + "[]", "fail"),
        own_toJSON=("doubled",
                    "Array.prototype.toJSON = () => 1;\nObject.prototype.toJSON = () => 1;\n" + JS + "[]",
                    "fail"),
        chameleon=("doubled", JS + "new Proxy([], { get: () => () => [2, 4] })", "error:Error"),
        function_for_a_list=("doubled", JS + "({ toJSON: () => [2, 4] })", "error:Error"),
        returns_at_the_top=("doubled", JS + "[];\nreturn", "error:TypeError"),
        opens_a_comment=("doubled", JS + "[]\n/*", "compile-error"),
        opens_a_template=("doubled", JS + "[]\nconst s = `", "compile-error"),
        closes_the_wrapper=("doubled", JS + "[]\n} {", "compile-error"),
        exit_handler=("doubled", "process.on('exit', () => { process.exitCode = 0 });\n" + JS + "[]", "fail"),
        catches_everything=("doubled",
                            "process.on('uncaughtException', () => {});\n" + JS + "{ throw new Error('x') }",
                            "exit"),
        reads_the_tests=("doubled", "const fs = require('fs');\nlet seen = '';\nfor (const f of "
                         "fs.readdirSync('..')) seen += f;\n" + JS + "[2, 4]", "error:Error"),
        kills_the_tests=("doubled", JS + "{ process.kill(process.ppid, 'SIGTERM'); return [] }",
                         "error:Error"),
        writes_an_end_of_its_own=("doubled", JS + "{ require('fs').writeSync(4, 'pass pass pass pass'); "
                                  "process.exit(0) }", "exit"),
        prints_success=("doubled", JS + "{ console.log('pass'); return [] }", "fail"),
        own_helper=("zero", "const value = () => 0;\nconst zero = (xs) => 1", "fail"),
        empties_the_question=("zero", "const value = () => 0;\nconst zero = (xs) => { xs.length = 0; return "
                              "1 }", "fail")),
    java=dict(
        own_arrays=("doubled", JAVA + WRONG_JAVA % "return null;" + "\nclass Arrays { static <T> List<T> "
                    "asList(T... x) { return new ArrayList<>(); } }", ("fail", "error:NullPointerException")),
        own_list=("doubled", JAVA + "class Solution { public List doubled(java.util.List<Integer> numbers) { "
                  "return null; } }\nclass List { public boolean equals(Object o) { return true; } }",
                  "compile-error"),
        always_equal=("doubled", JAVA + WRONG_JAVA % "return new ArrayList<Integer>() { public boolean "
                      "equals(Object o) { return true; } };", "fail"),
        own_error=("doubled", JAVA + WRONG_JAVA % "return List.of(1);" + "\nclass AssertionError extends "
                   "RuntimeException { AssertionError() { System.exit(0); } }", "fail"),
        leaves=("doubled", JAVA + WRONG_JAVA % "System.exit(0); return null;", "exit"),
        halts=("doubled", JAVA + WRONG_JAVA % "Runtime.getRuntime().halt(0); return null;", "exit"),
        leaves_while_loading=("doubled", JAVA + "class Solution { static { System.exit(0); } public "
                              "List<Integer> doubled(List<Integer> x) { return null; } }", "exit"),
        own_main=("doubled",
                  JAVA + WRONG_JAVA % "return List.of(1);"
                  + "\nclass Main { public static void main(String[] a) {} }", "fail"),
        writes_for_the_wire=("doubled",
                             JAVA
                             + WRONG_JAVA
                                                              % 'try { new java.io.FileOutputStream(java.io.FileDescriptor.out).write("pass".getBytes()); } catch (Exception e) {} System.exit(0); return null;', "exit"),  # noqa: E501
        opens_a_comment=("doubled", JAVA + WRONG_JAVA % "return List.of();" + "\n/*", "compile-error"),
        object_of_its_own=("doubled", JAVA + "class Solution { public <T> T doubled(List<Integer> x) { "
                           "return (T) new Solution(); } public boolean equals(Object o) { return true; } }",
                           "error:IllegalArgumentException"),
        own_helper=("zero", JAVA + "class Solution { public double value(List<Double> xs, double x) { return "
                    "0; } public double zero(List<Double> xs) { return 1; } }", "fail"),
        empties_the_question=("zero", JAVA + "class Solution { public double value(List<Double> xs, double "
                              "x) { return 0; } public double zero(List<Double> xs) { xs.clear(); "
                              "return 1; } }", "fail")),
    cpp=dict(
        renames_main=("doubled", WRONG_CPP + "int main(){ return 0; }\n#define main other", "fail"),
        empties_assert=("doubled", WRONG_CPP + "#define NDEBUG\n#undef assert\n#define assert(x)\n#define "
                        "issame(a, b) true", "fail"),
        skips_the_rest=("doubled", WRONG_CPP + "int main(){}\n#if 0", "compile-error"),
        opens_a_comment=("doubled", WRONG_CPP + "/*", "compile-error"),
        opens_a_raw_text=("doubled", WRONG_CPP + 'const char *s = R"(', "compile-error"),
        always_equal=("doubled", WRONG_CPP + "bool operator==(const vector<int> &, const vector<int> &) { "
                      "return true; }\nbool issame(vector<int>, vector<int>) { return true; }", "fail"),
        leaves_before_main=("doubled",
                            "#include<unistd.h>\n" + WRONG_CPP
                            + "__attribute__((constructor)) void early() { _exit(0); }", "exit"),
        leaves_in_an_initializer=("doubled",
                                  "#include<stdlib.h>\n" + WRONG_CPP
                                  + "struct Early { Early() { exit(0); } } early;", "exit"),
        leaves=("doubled",
                "#include<stdlib.h>\n" + CPP + "vector<int> doubled(vector<int> numbers){ quick_exit(0); }",
                "exit"),
        handles_abort=("doubled", "#include<signal.h>\n#include<unistd.h>\n" + CPP + "void good(int) { "
                       "_exit(0); }\nvector<int> doubled(vector<int> numbers){ signal(SIGABRT, good); "
                       "return {}; }", "fail"),
        at_exit=("doubled", "#include<stdlib.h>\n#include<unistd.h>\n" + CPP + "void good() { _exit(0); "
                 "}\nvector<int> doubled(vector<int> numbers){ atexit(good); return {}; }", "fail"),
        pragma=("doubled", WRONG_CPP + "#pragma GCC poison assert", "fail"),
        writes_for_the_wire=("doubled", "#include<unistd.h>\n" + CPP + 'vector<int> doubled(vector<int> '
                             'numbers){ write(4, "passpasspasspasspass", 20); _exit(0); }', ("exit", "fail")),
        own_exit=("doubled", WRONG_CPP + 'extern "C" void __assert_fail(const char *, const char *, '
                  'unsigned, const char *) { throw 1; }', "fail"),
        own_helper=("zero", CPP + "double value(vector<double> xs, double x){ return 0; }\ndouble "
                    "zero(vector<double> xs){ return 1; }", "fail"),
        empties_the_question=("zero", CPP + "double value(vector<double> xs, double x){ return 0; }\ndouble "
                              "zero(vector<double> &xs){ xs.clear(); return 1; }", "fail")),
    rust=dict(
        own_assert=("doubled", "macro_rules! assert { ($($x:tt)*) => {} }\nmacro_rules! assert_eq { "
                    "($($x:tt)*) => {} }\n" + WRONG_RUST, "fail"),
        own_vec=("doubled", "macro_rules! vec { ($($x:tt)*) => { ::std::vec::Vec::new() } }\n" + WRONG_RUST,
                 "fail"),
        exported_macro=("doubled",
                        "#[macro_export] macro_rules! assert_eq { ($($x:tt)*) => {} }\n" + WRONG_RUST,
                        "fail"),
        leaves=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { std::process::exit(0) }", "exit"),
        leaves_before_main=("doubled", "extern \"C\" fn early() { std::process::exit(0) }\n#[used] "
                            "#[link_section = \".init_array\"] static EARLY: extern \"C\" fn() = early;\n"
                            + WRONG_RUST, "exit"),
        quiet_panic=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { "
                     "std::panic::set_hook(Box::new(|_| std::process::exit(0))); panic!() }", "exit"),
        own_tests=("doubled", WRONG_RUST + "#[cfg(test)] mod tests { #[test] fn fine() {} }", "fail"),
        opens_a_comment=("doubled", WRONG_RUST + "/*", "compile-error"),
        opens_a_raw_text=("doubled", WRONG_RUST + 'const S: &str = r#"', "compile-error"),
        always_equal=("doubled", "struct Any;\nimpl PartialEq<Vec<i32>> for Any { fn eq(&self, _: &Vec<i32>) "
                      "-> bool { true } }\nfn doubled(numbers: Vec<i32>) -> Any { Any }", "compile-error"),
        thread_that_leaves=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { std::thread::spawn(|| "
                            "std::process::exit(0)).join().unwrap(); vec![] }", "exit"),
        own_helper=("zero", "fn value(xs: &Vec<f64>, x: f64) -> f64 { 0.0 }\nfn zero(xs: &Vec<f64>) -> f64 { "
                    "1.0 }", "fail")),
    go=dict(
        leaves=("doubled", 'import "os"\nfunc Doubled(numbers []int) []int { os.Exit(0); return nil }',
                "exit"),
        leaves_while_loading=("doubled", 'import "os"\nfunc init() { os.Exit(0) }\n' + WRONG_GO, "exit"),
        own_test_main=("doubled",
                       'import ("os"; "testing")\nfunc TestMain(m *testing.M) { os.Exit(0) }\n' + WRONG_GO,
                       "fail"),
        chooses_the_tests=("doubled", 'import "os"\nfunc init() { os.Args = append(os.Args, '
                           '"-test.run=None") }\n' + WRONG_GO, "fail"),
        own_assert=("doubled", "type all struct{}\nfunc (all) New(x interface{}) all { return all{} }\nfunc "
                    "(all) Equal(a, b interface{}) {}\nvar assert all\n" + WRONG_GO, "fail"),
        routine_that_leaves=("doubled", 'import "os"\nfunc Doubled(numbers []int) []int { go os.Exit(0); '
                             'select {} }', "exit"),
        system_call=("doubled", 'import "syscall"\nfunc Doubled(numbers []int) []int { syscall.Exit(0); '
                     'return nil }', "exit"),
        writes_for_the_wire=("doubled", 'import "os"\nfunc Doubled(numbers []int) []int { os.NewFile(4, '
                             '"").WriteString("pass pass pass pass"); os.Exit(0); return nil }', "exit"),
        prints_success=("doubled", 'import "fmt"\nfunc Doubled(numbers []int) []int { fmt.Println("PASS"); '
                        'return nil }', "fail"),
        opens_a_comment=("doubled", WRONG_GO + "/*", "compile-error"),
        opens_a_raw_text=("doubled", WRONG_GO + "var s = `", "compile-error"),
        own_types=("doubled", "type int = string\nfunc Doubled(numbers []int) []int { return nil }",
                   ("fail", "exit", "error:panic", "compile-error")),
        own_helper=("zero", "func Value(xs []float64, x float64) float64 { return 0 }\nfunc Zero(xs "
                    "[]float64) float64 { return 1 }", "fail"),
        empties_the_question=("zero", "func Value(xs []float64, x float64) float64 { return 0 }\nfunc "
                              "Zero(xs []float64) float64 { for i := range xs { xs[i] = 0 }; return 1 }",
                              "fail")))

RIGHT = dict(
    js=dict(
        prints=("doubled", JS + "{ console.log('numbers', numbers); console.error('!'); return numbers.map(n "
                "=> 2 * n) }"),
        strict=("doubled", "'use strict';\n" + JS + "numbers.map(n => 2 * n)"),
        function_declaration=("doubled", "function doubled(numbers) { return numbers.map(twice) }\nfunction "
                              "twice(n) { return n + n }"),
        exported=("doubled", JS + "numbers.map(n => 2 * n);\nmodule.exports = { doubled };"),
        generator=("doubled",
                   "function* all(xs) { for (const x of xs) yield 2 * x }\n" + JS + "[...all(numbers)]"),
        own_console=("doubled",
                     "const console = { assert() {}, log() {} };\n" + JS
                     + "{ console.log(1); return numbers.map(n => 2 * n) }"),
        own_names=("doubled", "const assert = 1, ask = 2, send = 3, receive = 4, answer = 5, run = 6, fs = "
                   "7, v8 = 8;\n" + JS + "numbers.map(n => 2 * n)"),
        prototype=("doubled",
                   "Array.prototype.twice = function () { return this.map(n => 2 * n) };\n" + JS
                   + "numbers.twice()"),
        exit_handler=("doubled",
                      "process.on('exit', () => console.log('bye'));\n" + JS + "numbers.map(n => 2 * n)"),
        library=("doubled", "const util = require('util'), assert = "
                 "require('assert');\nassert(util.isArray);\n" + JS + "numbers.map(n => 2 * n)"),
        own_demonstration=("doubled", JS + "numbers.map(n => 2 * "
                           "n)\nconsole.log(doubled([1]))\nconsole.assert(doubled([1])[0] === 2)"),
        ends_in_a_comment=("doubled", JS + "numbers.map(n => 2 * n) // done"),
        timer=("doubled", "setTimeout(() => {}, 1e6);\n" + JS + "numbers.map(n => 2 * n)"),
        typed_inside=("doubled", JS + "Array.from(Int32Array.from(numbers, n => 2 * n))"),
        empties_its_argument=("doubled", JS + "{ const out = []; while (numbers.length) out.unshift(2 * "
                              "numbers.pop()); return out }"),
        given_helper=("zero", "const zero = (xs) => { let x = 0; while (value(xs, x) < 0) x += 1; return x "
                      "}")),
    java=dict(
        own_arrays=("doubled", JAVA + "class Solution { public List<Integer> doubled(List<Integer> numbers) "
                    "{ return Arrays.twice(numbers); } }\n"
                    "class Arrays { static List<Integer> twice(List<Integer> x) { return x.stream().map(n -> "
                    "2 * n).collect(Collectors.toList()); } }"),
        public_class=("doubled", JAVA + "public class Solution { public List<Integer> doubled(List<Integer> "
                      "numbers) { List<Integer> out = new LinkedList<>(); for (int n : numbers) "
                      "out.add(2 * n); return out; } }"),
        own_main=("doubled", JAVA + "class Solution { public List<Integer> doubled(List<Integer> numbers) { "
                  "return numbers.stream().map(n -> 2 * n).collect(Collectors.toList()); } }\n"
                  "public class Main { public static void main(String[] a) { System.out.println(new "
                  "Solution().doubled(List.of(1))); } }"),
        prints=("doubled", JAVA + "class Solution { public List<Integer> doubled(List<Integer> numbers) { "
                "System.out.println(numbers); List<Integer> out = new ArrayList<>(); for (int n : "
                "numbers) out.add(2 * n); return out; } }"),
        static_method=("doubled", JAVA + "class Solution { public static List<Integer> doubled(List<Integer> "
                       "numbers) { Vector<Integer> out = new Vector<>(); for (Integer n : numbers) "
                       "out.add(n + n); return out; } }"),
        changes_its_argument=("doubled", JAVA + "class Solution { public List<Integer> doubled(List<Integer> "
                              "numbers) { numbers.replaceAll(n -> 2 * n); return numbers; } }"),
        unmodifiable=("doubled", JAVA + "class Solution { public List<Integer> doubled(List<Integer> "
                      "numbers) { return Collections.unmodifiableList(numbers.stream().map(n -> n * "
                      "2).collect(Collectors.toList())); } }"),
        lazy_list=("doubled", JAVA + "class Solution { public List<Integer> doubled(List<Integer> numbers) { "
                   "return new AbstractList<Integer>() { public Integer get(int i) { return 2 * "
                   "numbers.get(i); } public int size() { return numbers.size(); } }; } }"),
        thread=("doubled", JAVA + "class Solution { public List<Integer> doubled(List<Integer> numbers) { "
                "List<Integer> out = new ArrayList<>(); Thread t = new Thread(() -> { for (int n : "
                "numbers) out.add(2 * n); }); t.start(); "
                "try { t.join(); } catch (InterruptedException e) {} return out; } }"),
        overloaded=("doubled", JAVA + "class Solution { int doubled(int n) { return 2 * n; } public "
                    "List<Integer> doubled(List<Integer> numbers) { return "
                    "numbers.stream().map(this::doubled).collect(Collectors.toList()); } }"),
        nested=("doubled", JAVA + "class Solution { static class Twice { int of(int n) { return 2 * n; } } "
                "public List<Integer> doubled(List<Integer> numbers) { List<Integer> out = new "
                "ArrayList<>(); for (int n : numbers) out.add(new Twice().of(n)); return out; } }"),
        own_helper=("zero", JAVA + "class Solution { private double value(List<Double> xs, double x) { "
                    "return xs.get(0) + x * xs.get(1); } public double zero(List<Double> xs) { return "
                    "-xs.get(0) / xs.get(1); } }"),
        narrower=("zero", JAVA + "class Solution { public float zero(List<Double> xs) { return (float) "
                  "(-xs.get(0) / xs.get(1)); } }")),
    cpp=dict(
        by_reference=("doubled", CPP + "vector<int> doubled(const vector<int> &numbers){ vector<int> out; "
                      "for (int n : numbers) out.push_back(2 * n); return out; }"),
        own_main=("doubled",
                  CPP + "vector<int> doubled(vector<int> numbers){ " + RIGHT_CPP
                  + " }\nint main() { if (doubled({1})[0] != 2) { return 1; } }"),
        main_before=("doubled", CPP + "vector<int> doubled(vector<int>);\nint main() { return "
                     "doubled({})[0]; }\nvector<int> doubled(vector<int> numbers){ " + RIGHT_CPP + " }"),
        maintains=("doubled", CPP + "int maintain(int n) { return 2 * n; }\nvector<int> doubled(vector<int> "
                   "numbers){ for (int &n : numbers) n = maintain(n); return numbers; }"),
        prints=("doubled", "#include<iostream>\n" + CPP + "vector<int> doubled(vector<int> numbers){ cout << "
                "numbers.size() << endl; " + RIGHT_CPP + " }"),
        long_int=("doubled", CPP + "#define int long long\nvector<int> doubled(vector<int> numbers){ for "
                  "(int &n : numbers) n *= 2; return numbers; }"),
        template=("doubled", CPP + "template <class T> vector<T> doubled(vector<T> numbers){ for (T &n : "
                  "numbers) n *= 2; return numbers; }\ntemplate vector<int> doubled(vector<int>);"),
        thread=("doubled", "#include<thread>\n" + CPP + "vector<int> doubled(vector<int> numbers){ thread "
                "t([&]{ for (int &n : numbers) n *= 2; }); t.join(); return numbers; }"),
        own_names=("doubled", CPP + "int get(int n) { return 2 * n; }\nint ask = 1, serve = 2, call = 3, "
                   "wire = 4;\nstruct Wire { int put; };\nvector<int> doubled(vector<int> numbers){ "
                   "for (int &n : numbers) n = get(n); return numbers; }"),
        own_same=("doubled", CPP + "bool issame(vector<int> a, vector<int> b) { return a == b; "
                  "}\nvector<int> doubled(vector<int> numbers){ if (issame(numbers, {})) return {}; "
                  + RIGHT_CPP + " }"),
        no_debug=("doubled",
                  "#define NDEBUG\n#include<assert.h>\n" + CPP
                  + "vector<int> doubled(vector<int> numbers){ assert(false); " + RIGHT_CPP + " }"),
        struct_=("doubled", CPP + "struct Twice { int operator()(int n) const { return 2 * n; } "
                 "};\nvector<int> doubled(vector<int> numbers){ for (int &n : numbers) n = Twice()(n); "
                 "return numbers; }"),
        global_state=("doubled", CPP + "static vector<int> kept;\nvector<int> doubled(vector<int> numbers){ "
                      "kept.clear(); for (int n : numbers) kept.push_back(n + n); return kept; }"),
        given_helper=("zero", "#include<vector>\n#include<math.h>\nusing namespace std;\ndouble "
                      "zero(vector<double> xs){ double x = 0; while (value(xs, x) < 0) x += 1; return x; }"),
        float_result=("zero", CPP + "float zero(const vector<double> &xs){ return -xs[0] / xs[1]; }")),
    rust=dict(
        thread=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { std::thread::spawn(move || "
                "numbers.iter().map(|n| 2 * n).collect()).join().unwrap() }"),
        own_tests=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { numbers.iter().map(|n| 2 * "
                   "n).collect() }\n#[cfg(test)]\nmod tests { use super::*; #[test] fn one() { "
                   "assert_eq!(doubled(vec![1]), vec![2]); } }"),
        own_macro=("doubled", "macro_rules! twice { ($x:expr) => { 2 * $x } }\nfn doubled(numbers: Vec<i32>) "
                   "-> Vec<i32> { numbers.iter().map(|n| twice!(n)).collect() }"),
        own_main=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { numbers.iter().map(|n| 2 * "
                  "n).collect() }\nfn main() { println!(\"{:?}\", doubled(vec![1])); }"),
        main_before=("doubled", "fn main() { println!(\"{}\", \"}\"); }\nfn doubled(mut numbers: Vec<i32>) "
                     "-> Vec<i32> { for n in numbers.iter_mut() { *n *= 2; } numbers }"),
        prints=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { println!(\"{:?}\", numbers); "
                "dbg!(&numbers); numbers.into_iter().map(|n| n << 1).collect() }"),
        attribute=("doubled", "#![allow(dead_code)]\nfn doubled(numbers: Vec<i32>) -> Vec<i32> { "
                   "numbers.into_iter().map(|n| n + n).collect() }"),
        own_trait=("doubled", "trait Twice { fn twice(&self) -> Self; }\nimpl Twice for i32 { fn "
                   "twice(&self) -> i32 { 2 * self } }\nfn doubled(numbers: Vec<i32>) -> Vec<i32> { "
                   "numbers.iter().map(|n| n.twice()).collect() }"),
        own_names=("doubled", "struct Message; struct Ask; trait Put {} trait Get {}\npub fn "
                   "doubled(numbers: Vec<i32>) -> Vec<i32> { numbers.iter().map(|n| 2 * n).collect() }"),
        uses_the_given=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { let mut m: HashMap<usize, "
                        "i32> = HashMap::new(); for (i, n) in numbers.iter().enumerate() { m.insert(i, "
                        "2 * n); } (0..numbers.len()).map(|i| m[&i]).collect() }"),
        caught_panic=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { let _ = "
                      "std::panic::catch_unwind(|| panic!(\"no\")); numbers.iter().map(|n| 2 * "
                      "n).collect() }"),
        slice=("zero", "fn zero(xs: &[f64]) -> f64 { -xs[0] / xs[1] }"),
        given_helper=("zero", "fn zero(xs: &Vec<f64>) -> f64 { let mut x = 0.0; while value(xs, x) < 0.0 { x "
                      "+= 1.0; } x }")),
    go=dict(
        does_without_the_import=("doubled", 'import (\n    "math"\n)\n\nfunc Doubled(numbers []int) []int '
                                 '{\n    out := []int{}\n    for _, n := range numbers {\n        out '
                                 '= append(out, 2*n)\n    }\n    return out\n}'),
        own_main=("doubled", 'package main\n\nimport "fmt"\n\nfunc Doubled(numbers []int) []int { out := '
                  'make([]int, len(numbers)); for i, n := range numbers { out[i] = n + n }; return out '
                  '}\n\nfunc main() { fmt.Println(Doubled([]int{1})) }'),
        initializer=("doubled", "var two int\nfunc init() { two = 2 }\nfunc Doubled(numbers []int) []int { "
                     "out := []int{}; for _, n := range numbers { out = append(out, two*n) }; return out }"),
        prints=("doubled", 'func Doubled(numbers []int) []int { fmt.Println("numbers", numbers); out := '
                '[]int{}; for _, n := range numbers { out = append(out, 2*n) }; return out }'),
        routines=("doubled", 'import "sync"\nfunc Doubled(numbers []int) []int { var w sync.WaitGroup; for i '
                  ':= range numbers { w.Add(1); go func(i int) { defer w.Done(); numbers[i] *= 2 }(i) '
                  '}; w.Wait(); return numbers }'),
        own_assert=("doubled", "func assert(x bool) { if !x { panic(1) } }\nfunc Doubled(numbers []int) "
                    "[]int { assert(true); for i := range numbers { numbers[i] *= 2 }; return numbers }"),
        own_type=("doubled", "type list []int\nfunc (l list) twice() list { for i := range l { l[i] *= 2 }; "
                  "return l }\nfunc Doubled(numbers []int) []int { return list(numbers).twice() }"),
        recovers=("doubled", "func Doubled(numbers []int) []int { func() { defer func() { recover() }(); "
                  "panic(1) }(); for i := range numbers { numbers[i] *= 2 }; return numbers }"),
        own_names=("doubled", "type message struct{}\nfunc Serve() {}\nfunc Ask() {}\nvar wire = 2\nfunc "
                   "Doubled(numbers []int) []int { for i := range numbers { numbers[i] *= wire }; "
                   "return numbers }"),
        own_test=("doubled", 'import "testing"\nfunc TestDoubled(t *testing.T) {}\nfunc Doubled(numbers '
                  '[]int) []int { for i := range numbers { numbers[i] += numbers[i] }; return numbers }'),
        named_result=("doubled", "func Doubled(numbers []int) (out []int) { out = []int{}; for _, n := range "
                      "numbers { out = append(out, 2*n) }; return }"),
        renamed_import=("doubled", 'import m "math"\nfunc Doubled(numbers []int) []int { for i, n := range '
                        'numbers { numbers[i] = int(m.Round(2 * float64(n))) }; return numbers }'),
        given_helper=("zero", "func Zero(xs []float64) float64 { x := 0.0; for Value(xs, x) < 0 { x += 1 }; "
                      "return x }")))

# answers that are wrong without a trick, each with its way to end
ENDS = dict(
    js=dict(loops=("doubled", JS + "{ while (true); }", "timeout"),
            fills=("doubled", JS + "{ const x = []; while (true) x.push(new Array(8e6).fill(1.5)) }",
                   "memory"),
            throws=("doubled", JS + "{ throw new RangeError('x') }", "error:RangeError"),
            is_not_there=("doubled", "const tripled = (x) => x", "error:ReferenceError"),
            recurses=("doubled", JS + "doubled(numbers)", "error:RangeError"),
            nothing=("doubled", JS + "undefined", "fail"),
            sleeps=("doubled", JS + "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
                    "timeout")),
    java=dict(loops=("doubled", JAVA + WRONG_JAVA % "while (true);", "timeout"),
              fills=("doubled", JAVA + WRONG_JAVA % "List<long[]> x = new ArrayList<>(); while (true) "
                     "x.add(new long[1000000]);", "memory"),
              throws=("doubled", JAVA + WRONG_JAVA % "throw new IllegalStateException();",
                      "error:IllegalStateException"),
              is_not_there=("doubled", JAVA + "class Solution { }", "compile-error"),
              recurses=("doubled", JAVA + WRONG_JAVA % "return doubled(numbers);",
                        "error:StackOverflowError"),
              nothing=("doubled", JAVA + WRONG_JAVA % "return null;", "error:NullPointerException"),
              loads_badly=("doubled", JAVA + "class Solution { static int x = 1 / 0; public List<Integer> "
                           "doubled(List<Integer> x) { return x; } }", "error:ArithmeticException")),
       cpp=dict(loops=("doubled", CPP + "vector<int> doubled(vector<int> numbers){ volatile int i = 0; while "
                       "(1) i++; }", "timeout"),
             fills=("doubled", CPP + "vector<int> doubled(vector<int> numbers){ while (1) new "
                    "vector<int>(1000000, 1); }", "memory"),
             throws=("doubled", "#include<stdexcept>\n" + CPP + 'vector<int> doubled(vector<int> numbers){ '
                     'throw out_of_range("x"); }', "error:out_of_range"),
             crashes=("doubled", CPP + "vector<int> doubled(vector<int> numbers){ *(volatile int *)0 = 1; "
                      "return numbers; }", "crash:SIGSEGV"), is_not_there=("doubled", CPP, "compile-error"),
             asserts=("doubled",
                      "#include<assert.h>\n" + CPP
                      + "vector<int> doubled(vector<int> numbers){ assert(false); }", "fail")),
       rust=dict(loops=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { let mut i = 0u64; loop { i = "
                        "std::hint::black_box(i).wrapping_add(1); } }", "timeout"),
              fills=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { let mut x = vec![]; loop { "
                     "x.push(vec![1u8; 10_000_000]); } }", "memory"),
              panics=("doubled", "fn doubled(numbers: Vec<i32>) -> Vec<i32> { numbers[..99].to_vec() }",
                      "error:panic"), is_not_there=("doubled", "fn tripled() {}", "compile-error")),
    go=dict(loops=("doubled", "func Doubled(numbers []int) []int { for {} }", "timeout"),
            panics=("doubled", "func Doubled(numbers []int) []int { return numbers[99:] }", "error:panic"),
            fills=("doubled", "func Doubled(numbers []int) []int { x := [][]int{}; for { y := make([]int, "
                   "1000000); for i := range y { y[i] = 1 }; x = append(x, y) } }", "memory"),
            nothing=("doubled", "func Doubled(numbers []int) []int { return nil }", "fail"),
            is_not_there=("doubled", "func Tripled() {}", "compile-error"),
            imports_too_much=("doubled", 'import "sort"\nfunc Doubled(numbers []int) []int { for i := range '
                              'numbers { numbers[i] *= 2 }; return numbers }', "compile-error")))
