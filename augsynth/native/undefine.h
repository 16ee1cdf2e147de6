/* Forget the names of one instruction set. */
#undef WIDTH
#undef SUFFIX
#undef VECTOR
#undef INDICES
#undef LOAD
#undef STORE
#undef BYTES
#undef ADD
#undef MULTIPLY
#undef RELATIVE
#undef NEXT
#undef PICK
